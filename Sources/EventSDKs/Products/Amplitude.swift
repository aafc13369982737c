import EventShapes
import FunnelModel

/// Events of Amplitude's HTTP and batch endpoints.
enum Amplitude {
    /// Properties are those of the event, and its other members but those of the user and the group.
    static let mapping = SDKMapping {
        $0.shape.user = ["user_id"]
        $0.shape.anonymous = ["device_id"]
        $0.shape.event = ["event_type"]
        // Milliseconds; exports have the others.
        $0.shape.time = ["time", "event_time"]
        $0.shape.id = ["insert_id", "$insert_id"]
        $0.shape.spread = ["event_properties"]
        $0.shape.leftOut = ["user_properties", "group_properties", "api_key"]
        $0.claims = [ClaimRule(child: ["device_id"], parent: ["user_id"])]
        $0.pageURL = [
            "event_properties.[Amplitude] Page Location", "event_properties.[Amplitude] Page URL", "event_properties.page_url",
        ]
        $0.referrer = ["event_properties.referrer"]
    }

    /// What one event becomes.
    static func record(_ source: SourceRecord, _ reader: inout RecordReader) throws(EventFault) -> SDKRecord {
        let name = source.value["event_type"]?.asString ?? ""
        if name == "$groupidentify" { return try group(source, &reader) }
        let draft = try reader.draft(source)
        let user = try update(source.value, "user_properties")
        var record = SDKRecord(draft)
        record.claims = try reader.claims(of: source, named: name, at: draft.instant)
        if name != "$identify" { record.events = [reader.event(draft, of: source)] }
        record.add(user, named: "$identify", isWhole: name == "$identify", to: draft)
        return record
    }

    /// A call about a group needs no user; its event does.
    private static func group(_ source: SourceRecord, _ reader: inout RecordReader) throws(EventFault) -> SDKRecord {
        let groups = source.value["groups"]?.asObject ?? []
        guard let group = groups.first, let id = try [MemberPlace(name: group.key)].id(in: SourceRecord(value: .object([group]))) else {
            throw EventFault("groups", "field required", "missing")
        }
        var source = source
        if try (["user_id", "device_id"] as [MemberPlace]).id(in: source) == nil {
            let user = JSONValue.Member("user_id", .string(SDKRecord.user(ofGroup: id, type: group.key)))
            source.value = .object((source.value.asObject ?? []) + [user])
        }
        let draft = try reader.draft(source)
        var record = SDKRecord(draft)
        record.claims = try reader.claims(of: source, named: "$groupidentify", at: draft.instant)
        record.add(try update(source.value, "group_properties"), groupType: group.key, groupID: id, to: draft)
        if groups.count > 1 { record.ignored.append("groups after the first are not supported") }
        return record
    }

    private static func update(_ event: JSONValue, _ name: ByteString) throws(EventFault) -> ProfileUpdate {
        guard let given = event[name], given != .null else { return ProfileUpdate() }
        guard let members = given.asObject else { throw EventFault(name.string, "must be an object, not \(given.typeName)", "dict_type") }
        return try ProfileUpdate(members, takesValues: true)
    }
}

extension RequestReader {
    func amplitude() throws(SDKFault) -> SDKBatch {
        var reader = RecordReader(Amplitude.mapping, now: now)
        return try batch(try .list(request.body, named: "events", takesSingle: false, limit: limit)) { source throws(EventFault) in
            try Amplitude.record(source, &reader)
        }
    }
}
