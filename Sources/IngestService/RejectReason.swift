import FunnelModel

/// Why an event is rejected, as metrics have it: the field at fault, or `limit` if a limit of its project on names, keys or users is
/// reached.
package enum RejectReason: String, CaseIterable, Sendable {
    case user = "user_id"
    case event, timestamp, properties, limit, body, other
    case id = "event_id"

    /// The limits with whose names the reasons of shards begin.
    private static let limits = ["event_names_max", "event_names_rate", "property_keys_max", "users_per_bucket_max"]

    /// Of an event that ingest rejects.
    package init(_ fault: EventFault) { self.init(field: fault.field) }

    /// Of an event that a shard rejects, from its text: before the first colon is the name of a limit or the field at fault
    /// (`PROTOCOL.md` section 5, "Rejected rows").
    package init(ofShard text: String) {
        let name = text.contains(":") ? String(text.prefix { $0 != ":" }) : "other"
        self = Self.limits.contains(name) ? .limit : Self(field: name)
    }

    private init(field: String) {
        self =
            switch field.prefix(while: { $0 != "." }) {
            case "event_type": .event
            case "": .body
            case let name: Self(rawValue: String(name)) ?? .other
            }
    }

    /// The index in `allCases`.
    var place: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
