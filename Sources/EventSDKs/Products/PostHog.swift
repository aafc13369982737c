import EventShapes
import FunnelModel

/// Events of PostHog's capture endpoints.
enum PostHog {
    static let mapping = SDKMapping {
        $0.shape.user = ["distinct_id", "properties.distinct_id"]
        $0.shape.event = ["event"]
        // posthog-js replaces the timestamp of a queued event by `offset`, the milliseconds since then at the first attempt. A
        // retry would move the event; its `$time` stays.
        $0.shape.time = ["timestamp", "properties.$time"]
        $0.shape.id = ["uuid", "properties.$insert_id"]
        $0.shape.leftOut = ["$set", "$set_once", "api_key", "token", "offset", "options", "sent_at"]
        $0.notProperties = ["token", "$set", "$set_once"]
        $0.claims = [
            ClaimRule(names: ["$identify"], child: ["properties.$anon_distinct_id", "$anon_distinct_id"], parent: user),
            ClaimRule(
                kind: .alias, names: ["$create_alias", "$merge_dangerously"], child: ["properties.alias"], parent: user, isRequired: true),
        ]
        $0.pageURL = ["properties.$current_url"]
        $0.referrer = ["properties.$referrer"]
    }

    private static let user: [MemberPlace] = ["distinct_id", "properties.distinct_id"]

    /// What one event becomes.
    static func record(_ source: SourceRecord, _ reader: inout RecordReader) throws(EventFault) -> SDKRecord {
        let name = source.value["event"]?.asString ?? ""
        let properties = source.value["properties"] ?? .null
        let draft = try reader.draft(source)
        let update = try ProfileUpdate((source.value.asObject ?? []) + (properties.asObject ?? []))
        var record = SDKRecord(draft)
        record.claims = try reader.claims(of: source, named: name, at: draft.instant)
        switch name {
        case "$create_alias", "$merge_dangerously": break
        case "$identify": record.add(update, named: "$identify", isWhole: true, to: draft)
        case "$set", "$set_once": record.add(update, named: "$set", isWhole: true, to: draft)
        case "$groupidentify": try addGroup(source, draft, &record)
        default:
            record.events = [reader.event(draft, of: source)]
            record.add(update, named: "$set", isWhole: false, to: draft)
        }
        return record
    }

    private static func addGroup(_ source: SourceRecord, _ draft: EventDraft, _ record: inout SDKRecord) throws(EventFault) {
        guard let id = try (["properties.$group_key"] as [MemberPlace]).id(in: source), let properties = source.value["properties"] else {
            throw EventFault("$group_key", "field required", "missing")
        }
        var update = ProfileUpdate()
        update.set = properties["$group_set"]?.asObject ?? []
        record.add(update, groupType: properties["$group_type"]?.asString, groupID: id, to: draft)
    }

    /// Whether a request to `/batch` is PostHog's rather than Amplitude's.
    static func hasBatch(_ request: SDKRequest) -> Bool {
        guard let payload = try? JSONPayload(request) else { return request.path.hasSuffix("/") }
        if payload.form != nil || BodyRecords.hasList(payload.text, named: "batch") { return true }
        return !BodyRecords.hasList(payload.text, named: "events") && request.path.hasSuffix("/")
    }

    /// No flags, no recording, no surveys, in the members that the SDKs of all versions read.
    static let noFlags: JSONValue = [
        "config": ["enable_collect_everything": false], "supportedCompression": ["gzip-js", "base64"], "hasFeatureFlags": false,
        "flags": [:], "featureFlags": [:], "featureFlagPayloads": [:], "errorsWhileComputingFlags": false, "sessionRecording": false,
        "surveys": false, "siteApps": [], "toolbarParams": [:], "isAuthenticated": false,
    ]
}

extension RequestReader {
    func posthog() throws(SDKFault) -> SDKBatch {
        let payload = try JSONPayload(request)
        var reader = RecordReader(PostHog.mapping, now: now)
        let body = try BodyRecords.list(payload.text, named: "batch", takesSingle: true, limit: limit)
        return try batch(body, form: payload.form) { source throws(EventFault) in try PostHog.record(source, &reader) }
    }
}
