import FunnelModel
import FunnelProtocol
import TestSupport

/// The JSON that stands for a message in `Protocol/vectors`, and back. Integers from 2^53 on are decimal strings, since
/// many JSON readers would round them.
struct MeaningError: Error { var field: String }

func number(_ value: some BinaryInteger) -> JSONValue {
    if let small = Int64(exactly: value), small.magnitude < 1 << 53 { return .integer(small) }
    return .text(String(value))
}

extension JSONValue {
    func int<T: FixedWidthInteger>(_ key: ByteString, as type: T.Type = T.self) throws -> T {
        switch self[key] {
        case .integer(let value)?:
            if let value = T(exactly: value) { return value }
        case .string(let text)?:
            if let value = T(text.string) { return value }
        default: break
        }
        throw MeaningError(field: key.string)
    }

    func text(_ key: ByteString) throws -> ByteString {
        guard let value = self[key]?.asString else { throw MeaningError(field: key.string) }
        return value
    }

    func list(_ key: ByteString) throws -> [JSONValue] {
        guard let value = self[key]?.asArray else { throw MeaningError(field: key.string) }
        return value
    }

    func flag(_ key: ByteString) throws -> Bool {
        guard let value = self[key]?.asBool else { throw MeaningError(field: key.string) }
        return value
    }

    func hexBytes(_ key: ByteString) throws -> [UInt8] { bytes(hex: try text(key).string) }

    var int: Int { asInteger.map(Int.init) ?? 0 }
}

private func code<T: RawRepresentable & CaseIterable>(_ value: JSONValue, _ key: ByteString) throws -> T {
    let name = try value.text(key).string
    guard let found = T.allCases.first(where: { "\($0)" == name }) else { throw MeaningError(field: key.string) }
    return found
}

extension Message {
    var meaning: JSONValue {
        switch self {
        case .empty: return [:]
        case .document(let value): return value
        case .hello(let m):
            return [
                "role": .text("\(m.role)"), "phase": number(m.phase), "version_min": number(m.versionMin),
                "version_max": number(m.versionMax), "nonce": .text(hex(m.nonce)), "proof": .text(hex(m.proof)),
            ]
        case .helloResult(let m):
            return [
                "role": .text("\(m.role)"), "version": number(m.version), "cluster": number(m.cluster),
                "epoch": number(m.epoch), "nonce": .text(hex(m.nonce)), "proof": .text(hex(m.proof)),
            ]
        case .append(let m):
            return [
                "producer": number(m.producer), "sequence": number(m.sequence), "part": number(m.part),
                "idempotency_key": .string(m.idempotencyKey), "events": .array(m.batch.events.map(Self.json)),
            ]
        case .shardAppend(let m):
            return [
                "producer": number(m.producer), "sequence": number(m.sequence), "part": number(m.part), "short": .bool(m.isShort),
                "free_names": .bool(m.isNameRateFree), "fingerprint": number(m.fingerprint),
                "buckets": .array(m.buckets.ranges.map { [number($0.lowerBound), number($0.upperBound)] }),
                "numbers": m.numbers.map { rows in .array((0..<rows.count).map { number(rows[$0]) }) } ?? .null,
                "refused": .array(m.refused.map { ["row": number($0.row), "bucket": number($0.bucket)] }),
                "events": .array(m.batch.events.map(Self.json)),
            ]
        case .appendResult(let m):
            return [
                "accepted": number(m.accepted), "repeated": .bool(m.repeated),
                "rejected": .array(m.rejected.map { ["row": number($0.row), "reason": .text($0.reason)] }),
                "retry": .array(m.retry.map { number($0) }), "shards": .array(m.shards.map { .text($0) }),
            ]
        case .partialQuery(let m): return Self.json(m)
        case .partialUsersQuery(let m):
            return .object(
                [
                    .init("query", Self.json(m.query)), .init("step", number(m.step)), .init("outcome", .text(m.outcome.rawValue)),
                    .init("limit", number(m.limit)), .init("after", .string(m.after)),
                ] + (m.group.map { [.init("group", $0.meaning)] } ?? []))
        case .discoveryQuery(let m): return m.meaning
        case .discoveryResult(let m): return m.meaning
        case .partialResult(let m): return Self.json(m)
        case .userList(let m):
            let heavy: [JSONValue.Member] = m.heavyUsers.map { [.init("heavy_users", number($0))] } ?? []
            return .object([.init("users", .array(m.users.map { .string($0) }))] + heavy)
        case .healthResult(let m):
            return ["role": .text("\(m.role)"), "ready": .bool(m.ready), "epoch": number(m.epoch)]
        case .snapshotRequest(let m):
            return .object(
                [.init("known", number(m.known)), .init("wait_ms", number(m.waitMilliseconds))]
                    + (m.origin.map { [.init("lineage", number($0.lineage)), .init("checksum", number($0.checksum))] } ?? []))
        case .identity(let m): return Self.json(m)
        case .keyListRequest(let m): return m.meaning
        case .keyList(let m): return m.meaning
        case .ruleListRequest(let m): return m.meaning
        case .ruleList(let m): return m.meaning
        case .exportQuery(let m): return m.meaning
        case .exportPage(let m): return m.meaning
        case .snapshot(let m): return Self.json(m)
        case .error(let m):
            return [
                "code": number(m.code.rawValue), "name": .text(m.code.traits.name), "message": .text(m.message),
                "retry_after_ms": number(m.retryAfterMilliseconds),
                "faults": .array(m.faults.map { ["field": .text($0.field), "reason": .text($0.reason)] }),
                "shards": .array(m.shards.map { .text($0) }),
            ]
        case .trailer(let m):
            return ["status": number(m.status), "rows": number(m.rows), "checksum": number(m.checksum)]
        }
    }

    init(_ kind: FrameKind, meaning m: JSONValue) throws {
        switch kind {
        case .health, .identityRequest: self = .empty
        case .query, .mergedResult, .usersQuery: self = .document(m)
        case .hello:
            self = .hello(
                Hello(
                    role: try code(m, "role"), phase: try m.int("phase"), versionMin: try m.int("version_min"),
                    versionMax: try m.int("version_max"), nonce: try m.hexBytes("nonce"), proof: try m.hexBytes("proof")
                ))
        case .helloResult:
            self = .helloResult(
                HelloResult(
                    role: try code(m, "role"), version: try m.int("version"), cluster: try m.int("cluster"),
                    epoch: try m.int("epoch"), nonce: try m.hexBytes("nonce"), proof: try m.hexBytes("proof")))
        case .append:
            self = .append(
                Append(
                    producer: try m.int("producer"), sequence: try m.int("sequence"), part: try m.int("part"),
                    idempotencyKey: try m.text("idempotency_key"),
                    batch: EventBatchBuilder(try m.list("events").map(Self.event)).finish()))
        case .shardAppend:
            var buckets = BucketSet()
            for range in try m.list("buckets") {
                guard let bounds = range.asArray, bounds.count == 2 else { throw MeaningError(field: "buckets") }
                buckets = buckets.union(BucketSet(try bounds[0].int..<bounds[1].int))
            }
            self = .shardAppend(
                ShardAppend(
                    producer: try m.int("producer"), sequence: try m.int("sequence"), part: try m.int("part"), isShort: try m.flag("short"),
                    isNameRateFree: try m.flag("free_names"), fingerprint: try m.int("fingerprint"), buckets: buckets,
                    numbers: try m["numbers"]?.asArray.map { RowNumbers(try $0.map(\.int)) },
                    refused: try m.list("refused").map { .init(row: try $0.int("row"), bucket: try $0.int("bucket")) },
                    batch: EventBatchBuilder(try m.list("events").map(Self.event)).finish()))
        case .appendResult:
            self = .appendResult(
                AppendOutcome(
                    accepted: try m.int("accepted"), repeated: try m.flag("repeated"),
                    rejected: try m.list("rejected").map {
                        .init(row: try $0.int("row"), reason: try $0.text("reason").string)
                    },
                    retry: try m.list("retry").map(\.int), shards: try m.list("shards").compactMap(\.asString?.string)))
        case .partialQuery: self = .partialQuery(try Self.partialQuery(m))
        case .partialUsersQuery:
            guard let query = m["query"], let outcome = ListOutcome(rawValue: try m.text("outcome").string) else {
                throw MeaningError(field: "query")
            }
            self = .partialUsersQuery(
                PartialUsersQuery(
                    query: try Self.partialQuery(query), step: try m.int("step"), outcome: outcome,
                    group: try m["group"].map { try UserGroup(meaning: $0) }, limit: try m.int("limit"), after: try m.text("after")))
        case .partialResult: self = .partialResult(try Self.partialResult(m))
        case .userList:
            self = .userList(
                UserList(users: try m.list("users").compactMap(\.asString), heavyUsers: m["heavy_users"]?.asInteger.map { UInt64($0) }))
        case .healthResult:
            self = .healthResult(
                HealthResult(role: try code(m, "role"), ready: try m.flag("ready"), epoch: try m.int("epoch")))
        case .snapshotRequest:
            self = .snapshotRequest(
                SnapshotRequest(
                    known: try m.int("known"), waitMilliseconds: try m.int("wait_ms"),
                    origin: m["lineage"] == nil ? nil : .init(lineage: try m.int("lineage"), checksum: try m.int("checksum"))))
        case .identity: self = .identity(try Self.identity(m))
        case .keyListRequest: self = .keyListRequest(try KeyListRequest(meaning: m))
        case .keyList: self = .keyList(try KeyListMessage(meaning: m))
        case .ruleListRequest: self = .ruleListRequest(try RuleListRequest(meaning: m))
        case .ruleList: self = .ruleList(try RuleListMessage(meaning: m))
        case .exportQuery: self = .exportQuery(try ExportQuery(meaning: m))
        case .exportPage: self = .exportPage(try ExportPageMessage(meaning: m))
        case .snapshot: self = .snapshot(try Self.snapshot(m))
        case .error:
            guard let code = ProtocolError.Code(rawValue: try m.int("code")) else { throw MeaningError(field: "code") }
            let faults = try m.list("faults").map {
                FieldFault(try $0.text("field").string, try $0.text("reason").string)
            }
            var error = ProtocolError(
                code, try m.text("message").string, faults: faults,
                shards: try m.list("shards").compactMap(\.asString?.string))
            error.retryAfterMilliseconds = try m.int("retry_after_ms")
            self = .error(error)
        case .discoveryQuery: self = .discoveryQuery(try DiscoveryQuery(meaning: m))
        case .discoveryResult: self = .discoveryResult(try Discovery(meaning: m))
        case .trailer:
            self = .trailer(
                Trailer(status: try m.int("status"), rows: try m.int("rows"), checksum: try m.int("checksum")))
        }
    }
}

/// A property's value with its kind beside it.
func tagged(_ value: PropertyValue) -> JSONValue {
    switch value {
    case .string(let text): ["string": .string(text)]
    case .integer(let n): ["integer": number(n)]
    case .double(let x): ["double": .double(x)]
    case .bool(let flag): ["boolean": .bool(flag)]
    }
}

func untagged(_ value: JSONValue) throws -> PropertyValue {
    if let text = value["string"]?.asString { return .string(text) }
    if let x = value["double"]?.asDouble { return .double(x) }
    if let flag = value["boolean"]?.asBool { return .bool(flag) }
    return .integer(try value.int("integer"))
}

extension Message {
    static func json(_ event: Event) -> JSONValue {
        let properties = event.properties.map { JSONValue.Member($0.key, tagged($0.value)) }
        return [
            "user": .string(event.user), "event": .string(event.name), "microseconds": number(event.time),
            "id": .string(event.id), "server_timed": .bool(event.serverTimed), "properties": .object(properties),
        ]
    }

    static func event(_ m: JSONValue) throws -> Event {
        let properties = try (m["properties"]?.asObject ?? []).map { member -> Event.Property in
            .init(member.key, try untagged(member.value))
        }
        return Event(
            user: try m.text("user"), name: try m.text("event"), time: try m.int("microseconds"), id: try m.text("id"),
            serverTimed: try m.flag("server_timed"), properties: properties)
    }

    private static func json(_ buckets: [Range<Int>]) -> JSONValue {
        .array(buckets.map { [number($0.lowerBound), number($0.upperBound)] })
    }

    private static func buckets(_ m: JSONValue) throws -> [Range<Int>] {
        try m.list("buckets").compactMap { $0.asArray.map { $0[0].int..<$0[1].int } }
    }

    private static func json(_ query: PartialQuery) -> JSONValue {
        var members: [JSONValue.Member] = [.init("times", .bool(query.times)), .init("as_of", number(query.asOf))]
        if query.stillOpen { members.append(.init("still_open", true)) }
        if query.leavesOutHeavy { members.append(.init("leaves_out_heavy", true)) }
        if let range = query.entryRange {
            members += [.init("start", number(range.lowerBound)), .init("end", number(range.upperBound))]
        }
        return .object(
            members + [.init("buckets", json(query.buckets)), .init("definition", query.definition.wireJSON)]
                + (query.cohorts.isEmpty ? [] : [.init("cohorts", .array(query.cohorts.map(\.meaning)))])
                + (query.report.map { [$0.meaning] } ?? []))
    }

    private static func partialQuery(_ m: JSONValue) throws -> PartialQuery {
        let range: Range<Int64>? = m["start"] == nil ? nil : try m.int("start")..<m.int("end")
        return PartialQuery(
            definition: try FunnelDefinition.parse(m["definition"] ?? .null), buckets: try buckets(m),
            asOf: try m.int("as_of"), entryRange: range,
            cohorts: m["cohorts"] == nil ? [] : try m.list("cohorts").map { try Cohort(meaning: $0) },
            times: try m.flag("times"), stillOpen: m["still_open"] != nil, leavesOutHeavy: m["leaves_out_heavy"] != nil,
            report: try PartialQuery.Report(meaning: m))
    }

    static func json(_ summary: TimeSummary) -> JSONValue {
        switch summary.values {
        case .exact(let lists):
            return [
                "count": number(summary.count), "sum": number(summary.sum), "exact": .array(lists.joined().map { number($0) }),
            ]
        case .histogram(let buckets):
            let rows = buckets.map { JSONValue.array([number($0.number), number($0.count)]) }
            return ["count": number(summary.count), "sum": number(summary.sum), "histogram": .array(rows)]
        }
    }

    static func summary(_ m: JSONValue) throws -> TimeSummary {
        let values: TimeSummary.Values
        if m["exact"] != nil {
            values = .exact([try m.list("exact").map { UInt64($0.int) }])
        } else {
            let rows = try m.list("histogram").compactMap(\.asArray)
            values = .histogram(rows.map { TimeHistogram.Bucket(UInt32($0[0].int), count: UInt64($0[1].int)) })
        }
        return TimeSummary(count: try m.int("count"), sum: try m.int("sum"), values: values)
    }

    private static func json(_ result: PartialResult) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("buckets", json(result.buckets)), .init("counts", .array(result.counts.map { number($0) })),
            .init("open", .array(result.open.map { number($0) })),
        ]
        if let stillOpen = result.stillOpen { members.append(.init("still_open", .array(stillOpen.map { number($0) }))) }
        if let heavy = result.heavyUsers { members.append(.init("heavy_users", number(heavy))) }
        if let newest = result.newestEvent { members.append(.init("newest_event", number(newest))) }
        if !result.fromFirst.isEmpty {
            members.append(.init("from_first", .array(result.fromFirst.dropFirst().map { json($0) })))
            members.append(.init("from_previous", .array(result.fromPrevious.dropFirst(2).map { json($0) })))
        }
        if let report = result.report { members.append(report.meaning) }
        return .object(members)
    }

    private static func partialResult(_ m: JSONValue) throws -> PartialResult {
        let counts = try m.list("counts").map { UInt64($0.int) }
        var result = PartialResult(steps: counts.count, times: m["from_first"] != nil, buckets: try buckets(m))
        result.counts = counts
        result.open = try m.list("open").map { UInt64($0.int) }
        if m["still_open"] != nil { result.stillOpen = try m.list("still_open").map { UInt64($0.int) } }
        if m["heavy_users"] != nil { result.heavyUsers = UInt64(m["heavy_users"]?.asInteger ?? 0) }
        result.newestEvent = m["newest_event"] == nil ? nil : try m.int("newest_event")
        for i in result.fromFirst.indices.dropFirst() { result.fromFirst[i] = try summary(m.list("from_first")[i - 1]) }
        for i in result.fromPrevious.indices.dropFirst(2) { result.fromPrevious[i] = try summary(m.list("from_previous")[i - 2]) }
        result.report = try PartialResult.Report(meaning: m)
        return result
    }

    private static func json(_ snapshot: ClusterSnapshot) -> JSONValue {
        let shards = snapshot.map.shards.map { shard -> JSONValue in
            ["id": number(shard.id), "host": .text(shard.host), "port": number(shard.port)]
        }
        let keys = snapshot.keys.map { key -> JSONValue in
            ["role": .text("\(key.role)"), "project": number(key.project), "sha256": .text(hex(key.hash))]
        }
        return .object(
            [
                .init("revision", number(snapshot.revision)), .init("cluster", number(snapshot.map.clusterID)),
                .init("epoch", number(snapshot.map.epoch)), .init("shards", .array(shards)), .init("keys", .array(keys)),
            ]
                + (snapshot.lineage == 0
                    ? [] : [.init("lineage", number(snapshot.lineage)), .init("data_ids", .array(snapshot.dataIDs.map { number($0) }))]))
    }

    private static func json(_ identity: PeerIdentity) -> JSONValue {
        [
            "role": .text("\(identity.role)"), "shard": identity.shard.map { number($0) } ?? .null,
            "shards": number(identity.shardCount), "cluster": number(identity.cluster.id), "lineage": number(identity.cluster.lineage),
            "revision": number(identity.cluster.revision), "epoch": number(identity.cluster.epoch),
            "problem": identity.problem.map { .text($0) } ?? .null, "instance": .text(identity.instance),
            "version": .text(identity.version),
            "data_id": number(identity.dataID),
        ]
    }

    private static func identity(_ m: JSONValue) throws -> PeerIdentity {
        PeerIdentity(
            role: try code(m, "role"), shard: m["shard"] == .null ? nil : try m.int("shard"), shardCount: try m.int("shards"),
            cluster: ClusterState(
                id: try m.int("cluster"), lineage: try m.int("lineage"), revision: try m.int("revision"), epoch: try m.int("epoch")),
            problem: m["problem"]?.asString?.string, instance: try m.text("instance").string, version: try m.text("version").string,
            dataID: try m.int("data_id"))
    }

    private static func snapshot(_ m: JSONValue) throws -> ClusterSnapshot {
        let shards = try m.list("shards").map {
            ClusterMap.Shard(id: try $0.int("id"), host: try $0.text("host").string, port: try $0.int("port"))
        }
        let keys = try m.list("keys").map {
            ClusterSnapshot.Key(
                role: try code($0, "role"), project: try $0.int("project"), hash: try $0.hexBytes("sha256"))
        }
        let map = ClusterMap(clusterID: try m.int("cluster"), epoch: try m.int("epoch"), shards: shards)
        return ClusterSnapshot(
            revision: try m.int("revision"), lineage: m["lineage"] == nil ? 0 : try m.int("lineage"), map: map, keys: keys,
            dataIDs: m["lineage"] == nil ? [] : try m.list("data_ids").map { try JSONValue.object([.init("id", $0)]).int("id") })
    }
}
