import FunnelAlerts
import FunnelModel

/// The body of `POST /v1/alerts/dry-run`: a rule, and a range of the past.
struct AlertDryRunRequest {
    var rule: AlertRule
    /// Ends of the periods to evaluate, microseconds since 1970.
    var range: Range<Int64>
    /// Whether the request names the beginning.
    var hasStart = true
    /// Microseconds since 1970.
    var now: Int64

    private static let days: Int64 = 30

    /// - Parameter now: microseconds since 1970. By default the range is the 30 days before, or less if the rule has short periods.
    static func parse(_ document: JSONValue, now: Int64) throws(InvalidDocument) -> AlertDryRunRequest {
        var reader = FieldReader(document)
        var rule: AlertRule?
        if let value = reader.value("rule") {
            do throws(InvalidDocument) {
                rule = try AlertRule.parse(value.withoutState)
            } catch {
                reader.merge(error.faults.map { FieldFault("rule." + $0.field, $0.reason) })
            }
        } else {
            reader.faultAt("rule", "is required")
        }
        let end = min(now, time("end", &reader) ?? now)
        let given = time("start", &reader)
        let start = given ?? end - days * 86_400_000_000
        if start >= end { reader.faultAt("start", "must be before end, which is at most now") }
        reader.rejectUnknown()
        guard let rule, reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return AlertDryRunRequest(rule: rule, range: start..<end, hasStart: given != nil, now: now)
    }

    private static func time(_ key: ByteString, _ reader: inout FieldReader) -> Int64? {
        guard let text = reader.string(key) else { return nil }
        if let time = try? Timestamp.parse(text), Limits.storableTimes.contains(time) { return time }
        reader.faultAt(key, "must be an RFC 3339 instant; \"\(text.string.printable.prefix(40))\" is not")
        return nil
    }
}

extension JSONValue {
    /// A rule that was read has its state, and can be sent back.
    var withoutState: JSONValue { asObject.map { .object($0.filter { $0.key != "state" }) } ?? self }
}
