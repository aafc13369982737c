import EventShapes
import FunnelModel

/// Events, profiles and groups of Mixpanel.
enum Mixpanel {
    /// The id of an anonymous device is sent as `$device:ID` in some fields and as `ID` in others; both become `ID`.
    private static let deviceIDPrefix: ByteString = "$device:"

    static let events = SDKMapping {
        $0.shape.user = ["properties.$user_id", "properties.distinct_id"]
        $0.shape.anonymous = ["properties.$device_id"]
        $0.shape.event = ["event"]
        // Seconds, or milliseconds from 1e11 on, as in all times of Sluice.
        $0.shape.time = ["properties.time"]
        $0.shape.id = ["properties.$insert_id"]
        $0.notProperties = ["token"]
        $0.deviceIDPrefix = deviceIDPrefix
        $0.claims = [
            ClaimRule(
                names: ["$identify"], child: ["properties.$anon_distinct_id"],
                parent: ["properties.$identified_id", "properties.distinct_id"]),
            ClaimRule(child: ["properties.$device_id"], parent: ["properties.$user_id"]),
            ClaimRule(
                kind: .alias, names: ["$create_alias"], child: ["properties.alias"], parent: ["properties.distinct_id"], isRequired: true),
            ClaimRule(kind: .alias, names: ["$merge"], child: ["child"], parent: ["parent"], isRequired: true),
        ]
        $0.pageURL = ["properties.$current_url", "properties.current_url_search"]
        $0.referrer = ["properties.$referrer"]
    }

    static let profiles = SDKMapping {
        $0.shape.user = ["$user_id", "$distinct_id"]
        $0.shape.anonymous = ["$device_id"]
        $0.shape.event = []
        $0.shape.time = ["$time"]
        $0.shape.id = ["$insert_id"]
        $0.shape.spread = []
        $0.deviceIDPrefix = deviceIDPrefix
        $0.claims = [ClaimRule(child: ["$device_id"], parent: ["$user_id"])]
    }

    /// Mixpanel's name of a field of a native event.
    static func field(_ name: String) -> String {
        name == "user_id" ? "properties.distinct_id" : events.shape.name(ofField: name)
    }

    /// What one event becomes.
    static func record(_ source: SourceRecord, _ reader: inout RecordReader) throws(EventFault) -> SDKRecord {
        var source = source
        let name = source.value["event"]?.asString ?? ""
        if name == "$merge" { source.value = withMergedIDs(source.value) }
        let draft = try reader.draft(source)
        var record = SDKRecord(draft)
        record.claims = try reader.claims(of: source, named: name, at: draft.instant)
        switch name {
        case "$identify", "$create_alias", "$merge": break
        default: record.events = [reader.event(draft, of: source)]
        }
        return record
    }

    /// The two ids of a `$merge` as members of the event. Neither is the user rather than the other; the first is the parent.
    private static func withMergedIDs(_ event: JSONValue) -> JSONValue {
        guard let ids = event["properties"]?["$distinct_ids"]?.asArray, ids.count == 2, let properties = event["properties"]?.asObject
        else { return event }
        let members: [JSONValue.Member] = [
            .init("properties", .object(properties + [.init("distinct_id", ids[0])])), .init("parent", ids[0]), .init("child", ids[1]),
        ]
        return .object((event.asObject ?? []) + members)
    }
}

extension RequestReader {
    /// `/track` and `/import`.
    func mixpanelEvents() throws(SDKFault) -> SDKBatch {
        var reader = RecordReader(Mixpanel.events, now: now)
        return try mixpanel { source throws(EventFault) in try Mixpanel.record(source, &reader) }
    }

    /// `/engage` and `/groups`.
    func mixpanelProfiles(groups: Bool) throws(SDKFault) -> SDKBatch {
        var reader = RecordReader(Mixpanel.profiles, now: now)
        return try mixpanel { source throws(EventFault) in
            if groups { return try mixpanelGroup(source, &reader) }
            let draft = try reader.draft(source)
            var record = SDKRecord(draft)
            record.claims = try reader.claims(of: source, named: "$set", at: draft.instant)
            record.add(try ProfileUpdate(source.value.asObject ?? []), named: "$set", isWhole: false, to: draft)
            return record
        }
    }

    /// A group has no user; its event needs one.
    private func mixpanelGroup(_ source: SourceRecord, _ reader: inout RecordReader) throws(EventFault) -> SDKRecord {
        guard let type = source.value["$group_key"]?.asString else { throw EventFault("$group_key", "field required", "missing") }
        guard let id = try (["$group_id"] as [MemberPlace]).id(in: source) else {
            throw EventFault("$group_id", "field required", "missing")
        }
        let user = JSONValue.Member("$distinct_id", .string(SDKRecord.user(ofGroup: id, type: type)))
        let draft = try reader.draft(SourceRecord(value: .object((source.value.asObject ?? []) + [user])))
        var record = SDKRecord(draft)
        let update = try ProfileUpdate(source.value.asObject ?? [])
        if update.set.isEmpty, update.setOnce.isEmpty, !update.ignored.isEmpty {
            record.ignored = update.ignored
        } else {
            record.add(update, groupType: type, groupID: id, to: draft)
        }
        return record
    }

    private func mixpanel(_ read: (SourceRecord) throws(EventFault) -> SDKRecord) throws(SDKFault) -> SDKBatch {
        let isImport = endpoint.call == .mixpanelImport
        if isImport, ["application/x-ndjson", "application/ndjson", "application/jsonl"].contains(request.contentType) {
            var lines = try batch(try .lines(request.body, limit: limit), read)
            lines.reply = reply(form: nil, isImport: true)
            return lines
        }
        let payload = request.method == .get ? try JSONPayload(query: request.queryFields) : try JSONPayload(request)
        let body = try BodyRecords.list(payload.text, named: "", takesSingle: true, limit: limit)
        var events = try batch(body, form: payload.form, read)
        events.reply = reply(form: payload.form, isImport: isImport)
        return events
    }

    private func reply(form: FormFields?, isImport: Bool) -> SDKBatch.ReplyForm {
        func isOn(_ name: String) -> Bool { (form?.value(name).map { ByteString($0) } ?? request.queryValue(name)) == "1" }
        // The form is the one of the Python SDK, which reads a status in either case.
        if isImport { return form != nil ? .usual : isOn("strict") ? .strictReport : .report }
        return isOn("img") ? .image : isOn("verbose") ? .usual : .digit
    }
}
