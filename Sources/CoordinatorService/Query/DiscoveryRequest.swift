import FunnelModel
import FunnelProtocol

/// A request to `GET /v1/events` or `GET /v1/properties…`, from its query parameters.
struct DiscoveryRequest: Sendable {
    var query: DiscoveryQuery
    /// Max entries of the answer.
    var limit: Int
    var allowPartial: Bool

    enum Subject: Sendable {
        case events
        case properties
        case values(property: ByteString)
    }

    private static let limitMax = 10_000

    /// Reads the query parameters, which must be decoded. Throws all faults at once.
    static func parse(_ subject: Subject, _ parameters: [(name: String, value: String)]) throws(InvalidDocument) -> DiscoveryRequest {
        var reader = FieldReader(.object(parameters.map { .init(ByteString($0.name), .text($0.value)) }))
        let allowPartial = reader.string("allow_partial").map { $0 == "true" || $0 == "1" } ?? false
        let query: DiscoveryQuery
        var limit = limitMax
        switch subject {
        case .events:
            query = .events(prefix: text(&reader, "prefix", limit: Limits.eventNameBytes))
            limit = readLimit(&reader) ?? 1_000
        case .properties: query = .properties(event: text(&reader, "event", limit: Limits.eventNameBytes))
        case .values(let property):
            if !(1...Limits.propertyKeyBytes).contains(property.count) {
                reader.fault("name", "must be a property's name of 1 to \(Limits.propertyKeyBytes) bytes")
            }
            query = .values(
                property: property, event: text(&reader, "event", limit: Limits.eventNameBytes),
                prefix: text(&reader, "prefix", limit: Limits.propertyValueBytes))
            limit = readLimit(&reader) ?? 100
        }
        reader.rejectUnknown()
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return DiscoveryRequest(query: query, limit: limit, allowPartial: allowPartial)
    }

    private static func text(_ reader: inout FieldReader, _ key: ByteString, limit: Int) -> ByteString {
        let text = reader.string(key) ?? ""
        if text.count > limit { reader.faultAt(key, "is longer than \(limit) bytes") }
        return text
    }

    private static func readLimit(_ reader: inout FieldReader) -> Int? {
        guard let text = reader.string("limit") else { return nil }
        if let limit = Int(text.string), (1...limitMax).contains(limit) { return limit }
        reader.faultAt("limit", "must be an integer from 1 to \(limitMax)")
        return nil
    }

    /// The answer of no shard, to merge others into.
    var nothing: Discovery {
        switch query {
        case .events: .events([:])
        case .properties: .properties([:])
        case .values: .values(ValueRows())
        case .totals: .totals(ProjectTotals())
        case .names: .names(ProjectNames())
        }
    }
}
