import EventShapes
import FunnelModel
import TimeZones

/// Reads the fields, claims and page of records by a mapping.
struct RecordReader {
    private let mapping: SDKMapping
    /// The server's time in microseconds.
    private let now: Int64
    private var shapes: ShapeReader

    /// - Parameter clock: the zone of times without one; nil is UTC.
    init(_ mapping: SDKMapping, now: Int64, clock: LocalClock? = nil) {
        self.mapping = mapping
        self.now = now
        shapes = ShapeReader(mapping.shape, clock: clock)
    }

    mutating func draft(_ source: SourceRecord) throws(EventFault) -> EventDraft {
        let reading = try shapes.read(source.value, text: source.text, source.range)
        var draft = try EventDraft(reading.event, now: now)
        draft.isAnonymous = reading.isAnonymous
        if let user = draft.user.asString { draft.user = .string(mapping.plain(user)) }
        draft.properties.removeAll { $0.value == .null || mapping.notProperties.contains($0.key) }
        return draft
    }

    /// The record with the members whose text is JSON as values.
    func parsed(_ source: SourceRecord) throws(EventFault) -> SourceRecord {
        SourceRecord(value: try shapes.parsed(source.value), text: source.text, range: source.range)
    }

    /// The event of a draft, with the fields of a campaign from the record's page.
    func event(_ draft: EventDraft, of source: SourceRecord) -> JSONValue {
        var draft = draft
        CampaignFields(url: mapping.pageURL.text(in: source.value), referrer: mapping.referrer.text(in: source.value))
            .add(to: &draft.properties)
        return draft.document
    }

    /// The claims of a record.
    /// - Parameter name: the event's name, or the type of the call.
    func claims(of source: SourceRecord, named name: ByteString, at time: Int64) throws(EventFault) -> [Claim] {
        var claims: [Claim] = []
        for rule in mapping.claims where rule.names?.contains(name) ?? true {
            let child = try rule.child.id(in: source)
            let parent = try rule.parent.id(in: source)
            guard let child, let parent else {
                if rule.isRequired {
                    throw EventFault((child == nil ? rule.child : rule.parent).first?.name ?? "", "field required", "missing")
                }
                continue
            }
            let claim = Claim(kind: rule.kind, child: mapping.plain(child), parent: mapping.plain(parent), time: time)
            if claim.child != claim.parent, !claims.contains(claim) { claims.append(claim) }
        }
        return claims
    }
}
