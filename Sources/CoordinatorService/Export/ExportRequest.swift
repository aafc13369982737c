import FunnelModel
import FunnelProtocol

/// A request to `GET /v1/export/events`, from its query parameters.
struct ExportRequest: Sendable {
    enum Format: String, CaseIterable { case ndjson, csv }

    var question: ExportQuestion
    var format: Format
    /// Of CSV: whether texts that a spreadsheet would run as formulas are left as they are.
    var isRaw: Bool
    /// Max events of the answer, which then is one page; nil is all events.
    var limit: Int?
    /// The text of a cursor.
    var cursor: ByteString?

    /// Reads the query parameters, which must be decoded. `event` may be given several times. Throws all faults at once.
    static func parse(_ parameters: [JSONValue.Member]) throws(InvalidDocument) -> ExportRequest {
        var reader = FieldReader(.object(parameters))
        let zone = reader.string("time_zone")
        let range = QueryRequest.readRange(&reader, zone: zone, from: "start", to: "end") ?? Int64.min..<Int64.max
        _ = reader.string("event")
        var events: [ByteString] = []
        for parameter in parameters where parameter.key == "event" {
            let name = parameter.value.asString ?? ""
            if name.isEmpty || name.count > Limits.eventNameBytes {
                reader.faultAt("event", "must have 1 to \(Limits.eventNameBytes) bytes")
            } else if EventName.isReserved(name) {
                reader.faultAt("event", EventName.reservedReason)
            } else if !events.contains(name) {
                events.append(name)
            }
        }
        if events.count > ExportQuestion.eventsMax {
            reader.faultAt("event", "is given \(events.count) times; at most \(ExportQuestion.eventsMax) are allowed")
        }
        let user = reader.string("user")
        if let user, user.isEmpty || user.count > Limits.userIDBytes {
            reader.faultAt("user", "must have 1 to \(Limits.userIDBytes) bytes")
        }
        let format: Format = reader.choice("format") ?? .ndjson
        let isRaw = reader.flag("raw") ?? false
        var limit: Int?
        if let text = reader.string("limit")?.string {
            limit = Int(text).flatMap { (1...ExportPage.eventsMax).contains($0) ? $0 : nil }
            if limit == nil {
                reader.faultAt("limit", "must be an integer from 1 to \(ExportPage.eventsMax); \"\(text.prefix(40))\" is not")
            }
        }
        let cursor = reader.string("cursor")
        reader.rejectUnknown("parameter")
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return ExportRequest(
            question: ExportQuestion(times: range, events: events.isEmpty ? nil : events, user: user), format: format, isRaw: isRaw,
            limit: limit, cursor: cursor)
    }
}
