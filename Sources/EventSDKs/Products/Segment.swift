import EventShapes
import FunnelModel

/// Calls of Segment's HTTP API. RudderStack's SDKs make the same ones.
enum Segment {
    /// Properties are those of the call, and its `context` as `context.…`.
    static let mapping = SDKMapping {
        $0.shape.user = ["userId"]
        $0.shape.anonymous = ["anonymousId"]
        $0.shape.event = ["event"]
        // RudderStack's browser SDK has only the latter.
        $0.shape.time = ["timestamp", "originalTimestamp"]
        $0.shape.id = ["messageId"]
        // How the SDK sent the call, not what happened.
        $0.shape.leftOut = ["type", "integrations", "_metadata", "writeKey", "sentAt"]
        $0.claims = [
            ClaimRule(child: ["anonymousId"], parent: ["userId"]),
            ClaimRule(kind: .alias, names: ["alias"], child: ["previousId"], parent: ["userId"], isRequired: true),
        ]
        $0.pageURL = ["context.page.url", "properties.url"]
        $0.referrer = ["context.page.referrer", "properties.referrer"]
    }

    /// What one call becomes.
    /// - Parameter call: the call that the path names, for a record without a type.
    static func record(
        _ source: SourceRecord, as call: SegmentCall?, _ reader: inout RecordReader
    ) throws(EventFault) -> SDKRecord {
        let type = source.value["type"]?.asString?.string ?? call?.rawValue ?? ""
        guard let call = SegmentCall(rawValue: type) else {
            throw EventFault("type", type.isEmpty ? "field required" : "\"\(type.prefix(60))\" is no call of the Segment specification")
        }
        var draft = try reader.draft(source)
        var record = SDKRecord(draft)
        record.claims = try reader.claims(of: source, named: ByteString(type), at: draft.instant)
        switch call {
        case .track: record.events = [reader.event(draft, of: source)]
        case .page, .screen:
            draft.name = .text(type)
            record.events = [reader.event(draft, of: source)]
        case .identify: record.add(try traits(source.value), named: "$identify", isWhole: true, to: draft)
        case .group:
            guard let id = try (["groupId"] as [MemberPlace]).id(in: source) else {
                throw EventFault("groupId", "field required", "missing")
            }
            record.add(try traits(source.value), groupType: nil, groupID: id, to: draft)
        case .alias: break
        }
        return record
    }

    /// RudderStack's server SDKs put the traits into the context.
    private static func traits(_ call: JSONValue) throws(EventFault) -> ProfileUpdate {
        var update = ProfileUpdate()
        let given = (["traits", "context.traits"] as [MemberPlace]).lazy.compactMap { $0.value(in: call) }.first
        guard let given else { return update }
        guard let traits = given.asObject else { throw EventFault("traits", "must be an object, not \(given.typeName)", "dict_type") }
        update.set = traits
        return update
    }

    /// Whether a request to a path that another product shares is a call of Segment.
    static func isCall(_ request: SDKRequest) -> Bool {
        if request.credentials("basic") != nil { return true }
        guard let document = try? JSONParser.parse(request.body), document["event"] == nil else { return false }
        return (["userId", "anonymousId", "type", "name"] as [ByteString]).contains { document[$0] != nil }
    }

    /// The answer to a browser's or a phone's first request: where events go. Without `apiHost` the SDK stays with its own.
    static func settings(key: ByteString) -> JSONValue {
        ["integrations": ["Segment.io": ["apiKey": .string(key)]], "plan": ["track": [:]], "edgeFunction": [:]]
    }
}

extension RequestReader {
    func segmentBatch() throws(SDKFault) -> SDKBatch {
        var reader = RecordReader(Segment.mapping, now: now)
        return try batch(try .list(request.body, named: "batch", takesSingle: false, limit: limit)) { source throws(EventFault) in
            try Segment.record(source, as: nil, &reader)
        }
    }

    /// Reads one call, whose type may be in the path alone.
    func segmentCall(_ call: SegmentCall) throws(SDKFault) -> SDKBatch {
        var reader = RecordReader(Segment.mapping, now: now)
        return try batch(.single(request.body)) { source throws(EventFault) in try Segment.record(source, as: call, &reader) }
    }
}
