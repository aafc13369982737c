import Codec
import FunnelModel
import FunnelProtocol
import TestSupport

/// What `Protocol/vectors` is written from: at least one message of every kind, with the corners of its fields.
struct Sample: Sendable {
    var name: String
    var kind: FrameKind
    var context = FrameContext(cluster: 0x1122_3344_5566_7788, request: 42, epoch: 1)
    var message: Message
    /// Written with LZ4; such bytes depend on the compressor, so only reading them is checked.
    var compressed = false

    var frame: [UInt8] {
        compressed ? Frame(kind, context, body: message.body).encode() : plainFrame(kind, context, message.body)
    }
}

enum Samples {
    static let asked = FrameContext(request: 42)

    static let files: [(file: String, samples: [Sample])] = [
        ("frame", frames), ("hello", hellos), ("append", appends), ("query", queries),
        ("partial-query", partialQueries + behaviourQueries),
        ("partial-result", partialResults + behaviourResults), ("user-list", userLists), ("health", healths), ("snapshot", snapshots),
        ("identity", identities), ("keys", keyLists), ("rules", ruleLists), ("export", exports),
        ("error", errors), ("discovery", discoveries),
    ]

    static let frames: [Sample] = [
        Sample(name: "every context field at its least", kind: .health, context: FrameContext(), message: .empty),
        Sample(
            name: "every context field at its most", kind: .health,
            context: FrameContext(cluster: .max, request: .max, project: .max, epoch: .max), message: .empty),
        Sample(
            name: "compressed user list", kind: .userList,
            message: .userList(UserList(users: (0..<64).map { ByteString("user-\(1000 + $0)") })), compressed: true),
        Sample(name: "compressed append", kind: .append, context: asked, message: .append(manyRows), compressed: true),
    ]

    static let nonce = [UInt8](0..<16)
    static let hellos: [Sample] = [
        Sample(
            name: "client opens", kind: .hello, context: asked,
            message: .hello(Hello(role: .client, phase: 1, nonce: nonce))),
        Sample(
            name: "ingest proves", kind: .hello, context: FrameContext(cluster: 7, request: 2),
            message: .hello(Hello(role: .ingest, phase: 2, nonce: nonce, proof: [UInt8](100..<132)))),
        Sample(
            name: "coordinator answers", kind: .helloResult,
            message: .helloResult(
                HelloResult(
                    role: .coordinator, version: 1, cluster: 0x1122_3344_5566_7788, epoch: 9,
                    nonce: nonce.reversed(), proof: [UInt8](repeating: 0, count: 32)))),
    ]

    static let example = Event(
        user: "ann", name: "Sign Up", time: 1_710_892_800_990_000, id: "m-1",
        properties: [.init("n", .integer(3)), .init("plan", .string("pro"))])

    static let manyRows: Append = {
        let events = (0..<40).map { i in
            Event(
                user: ByteString("user \(i)"), name: ByteString("event \(i % 7)"),
                time: 1_710_892_800_000_000 + Int64(i * i),
                properties: [.init("i", .integer(Int64(i)))])
        }
        return Append(
            producer: 1, sequence: 1, part: 0, idempotencyKey: "night", batch: EventBatchBuilder(events).finish())
    }()

    static let appends: [Sample] = {
        let kinds = Event(
            user: "Zo\u{EB}", name: "buy", time: 1 << 59, id: "", serverTimed: true,
            properties: [
                .init("empty", .string("")), .init("high", .integer(.max)), .init("low", .integer(.min)),
                .init("no", .bool(false)), .init("small", .double(Double.leastNonzeroMagnitude)), .init("x", .double(-2.5)),
                .init("yes", .bool(true)),
            ])
        let back = Event(user: "ann", name: "open", time: 0, id: "m-2", properties: [.init("plan", .string("pro"))])
        func append(_ name: String, _ events: [Event], key: ByteString = "", producer: UInt64 = 7) -> Sample {
            let batch = EventBatchBuilder(events).finish()
            return Sample(
                name: name, kind: .append, context: asked,
                message: .append(Append(producer: producer, sequence: 1, part: 0, idempotencyKey: key, batch: batch)))
        }
        func result(_ name: String, _ outcome: AppendOutcome) -> Sample {
            Sample(name: name, kind: .appendResult, message: .appendResult(outcome))
        }
        return [
            append("one event with properties", [example]), append("no events", []),
            append(
                "every kind of value, a repeated user, times going back", [example, kinds, back], key: "load-1",
                producer: .max),
            Sample(
                name: "two-byte user codes", kind: .append, context: asked,
                message: .append(
                    Append(
                        producer: 7, sequence: 1 << 40, part: 3,
                        batch: EventBatchBuilder((0..<257).map { Event(user: ByteString("\($0)"), name: "e", time: 5) })
                            .finish()))),
            Sample(
                name: "to a shard, numbered by ingest", kind: .shardAppend, context: asked,
                message: .shardAppend(
                    ShardAppend(
                        producer: 7, sequence: 9, part: 0, isShort: true, fingerprint: 0, buckets: BucketSet(512..<1_024),
                        batch: EventBatchBuilder([example]).finish()))),
            Sample(
                name: "to a shard, numbered by a client, a row refused", kind: .shardAppend, context: asked,
                message: .shardAppend(
                    ShardAppend(
                        producer: .max, sequence: 1 << 40, part: 3 | 1 << 16, isNameRateFree: true, fingerprint: 0x1234_5678,
                        buckets: BucketSet(0..<3).union(BucketSet(700..<1_024)), numbers: RowNumbers([4, 5, 300]),
                        refused: [.init(row: 6, bucket: 701)], batch: EventBatchBuilder([example, back, back]).finish()))),
            result("all stored", AppendOutcome(accepted: 1)),
            result("a repeat", AppendOutcome(accepted: 200_000, repeated: true)),
            result(
                "rejected rows, rows to send again",
                AppendOutcome(
                    accepted: 5,
                    rejected: [
                        .init(row: 0, reason: "user_id is empty"),
                        .init(row: 300, reason: "timestamp is before 1971-01-01"),
                    ],
                    retry: [7, 130], shards: ["shard-1", "shard-2"])),
        ]
    }()

    static let queries: [Sample] = [
        Sample(
            name: "a definition", kind: .query, context: asked,
            message: .document([
                "funnel": ["steps": ["Sign Up", "Purchase"], "window_duration": "7d"], "start": "2024-03-01",
                "end": "2024-03-31",
                "time_zone": "Europe/Berlin", "times": "summary", "allow_partial": false,
            ])),
        Sample(
            name: "a page of users", kind: .usersQuery, context: asked,
            message: .document([
                "funnel_id": "shop", "as_of": "2024-03-31T12:00:00Z", "step": 2, "outcome": "dropped", "limit": 100,
                "after": "ann",
            ])),
        Sample(
            name: "an answer", kind: .mergedResult,
            message: .document([
                "rules": "sluice/1", "as_of": "2024-03-31T12:00:00Z", "times": "exact", "entered": 2, "converted": 1,
                "conversion": 0.5,
                "biggest_dropoff": ["step": "Purchase", "index": 2, "users": 1], "expected_conversions": 1.5,
                "completeness": [
                    "shards_asked": 2, "shards_answered": 2, "missing": [], "newest_event": nil, "exact": true,
                ],
            ])),
    ]

    static let definition: FunnelDefinition = {
        var definition = FunnelDefinition(
            id: "shop",
            steps: [
                .init("view"), .init("cart", events: .named(["add", "cart"])),
                .init(
                    "buy", filters: [Predicate(property: "amount", comparison: .greaterOrEqual, values: [.integer(10)])]
                ),
            ])
        definition.order = .flexible(limit: 3_600_000_000)
        return definition
    }()

    static let plainQuery = PartialQuery(
        definition: definition, buckets: [0..<512], asOf: 1_710_892_800_000_000, entryRange: nil, times: true)

    private static let openQuery: PartialQuery = {
        var query = plainQuery
        query.stillOpen = true
        return query
    }()

    private static let heavyQuery: PartialQuery = {
        var query = plainQuery
        query.leavesOutHeavy = true
        return query
    }()

    static func reporting(_ report: PartialQuery.Report) -> PartialQuery {
        var query = plainQuery
        query.report = report
        return query
    }

    static let partialQueries: [Sample] = [
        Sample(name: "all entries, with times", kind: .partialQuery, message: .partialQuery(plainQuery)),
        Sample(name: "who can still go on is asked too", kind: .partialQuery, message: .partialQuery(openQuery)),
        Sample(name: "heavy users are left out", kind: .partialQuery, message: .partialQuery(heavyQuery)),
        Sample(
            name: "a range of entries, no times", kind: .partialQuery,
            message: .partialQuery(
                PartialQuery(
                    definition: FunnelDefinition(steps: [.init("a")]), buckets: [0..<1, 5..<9, 1_000..<1_024],
                    asOf: (1 << 60) - 1, entryRange: -86_400_000_000..<1_710_892_800_000_000, times: false))),
        Sample(
            name: "a breakdown by the last event", kind: .partialQuery,
            message: .partialQuery(reporting(.breakdown(Breakdown(property: "plan", touch: .last))))),
        Sample(
            name: "a breakdown by step 3", kind: .partialQuery,
            message: .partialQuery(reporting(.breakdown(Breakdown(property: "utm.source", touch: .step(3)))))),
        Sample(
            name: "a breakdown, some values by name", kind: .partialQuery,
            message: .partialQuery(
                reporting(.breakdown(Breakdown(property: "plan", touch: .first), .named([.integer(-7), .bool(true), .string("pro")]))))),
        Sample(
            name: "a breakdown, all groups", kind: .partialQuery,
            message: .partialQuery(reporting(.breakdown(Breakdown(property: "plan", touch: .first), .all)))),
        Sample(
            name: "a trend", kind: .partialQuery,
            message: .partialQuery(
                reporting(.trend([-86_400_000_000, 0, 1_710_892_800_000_000, 1_710_892_800_000_001])))),
        Sample(name: "the span of entries", kind: .partialQuery, message: .partialQuery(reporting(.entrySpan))),
        Sample(name: "times between two steps", kind: .partialQuery, message: .partialQuery(reporting(.between(from: 1, to: 3)))),
        Sample(name: "one user explained", kind: .partialQuery, message: .partialQuery(reporting(.explain(user: "Zo\u{EB}")))),
        Sample(
            name: "variants by the first exposure", kind: .partialQuery,
            message: .partialQuery(reporting(.variants(VariantSplit(property: "exp", exposure: .first))))),
        Sample(
            name: "variants by the attempt's second step", kind: .partialQuery,
            message: .partialQuery(reporting(.variants(VariantSplit(property: "exp", exposure: .attempt(.step(2))))))),
        Sample(
            name: "users of a value", kind: .partialUsersQuery,
            message: .partialUsersQuery(
                PartialUsersQuery(
                    query: plainQuery, step: 1, outcome: .reached,
                    group: UserGroup(Breakdown(property: "plan", touch: .step(2)), value: .integer(-3)), limit: 1, after: ""))),
        Sample(
            name: "users without a value", kind: .partialUsersQuery,
            message: .partialUsersQuery(
                PartialUsersQuery(
                    query: plainQuery, step: 1, outcome: .reached, group: UserGroup(Breakdown(property: "plan", touch: .first), value: nil),
                    limit: 1, after: "bob"))),
        Sample(
            name: "the users of two cohorts, and a second funnel", kind: .partialQuery,
            message: .partialQuery(
                PartialQuery(
                    definition: FunnelDefinition(steps: [.init("a"), .init("b")]), buckets: [0..<1_024], asOf: 1_710_892_800_000_000,
                    entryRange: nil,
                    cohorts: [
                        Cohort(definition: FunnelDefinition(id: "shop", steps: [.init("c"), .init("d")]), step: 2, outcome: .dropped),
                        Cohort(definition: FunnelDefinition(steps: [.init("e")]), step: 1, outcome: .reached),
                    ], times: true, report: .paired(FunnelDefinition(steps: [.init("a"), .init("c"), .init("b")]))))),
        Sample(
            name: "users who dropped", kind: .partialUsersQuery,
            message: .partialUsersQuery(
                PartialUsersQuery(query: plainQuery, step: 3, outcome: .dropped, limit: 10_001, after: "ann"))),
        Sample(
            name: "users who dropped and can still go on", kind: .partialUsersQuery,
            message: .partialUsersQuery(PartialUsersQuery(query: plainQuery, step: 2, outcome: .open, limit: 100, after: ""))),
    ]

    static let partialResults: [Sample] = {
        var none = PartialResult(steps: 1, times: false, buckets: [0..<1_024])
        none.newestEvent = nil
        var some = PartialResult(steps: 3, times: true, buckets: [512..<1_024])
        some.counts = [3, 2, 1]
        some.open = [1, 0, 0]
        some.newestEvent = 1_710_892_800_990_000
        some.fromFirst[1] = TimeSummary(count: 2, sum: 65, values: .exact([[5, 60]]))
        some.fromFirst[2] = TimeSummary(count: 1, sum: 3_600, values: .exact([[3_600]]))
        some.fromPrevious[2] = TimeSummary(count: 1, sum: 3_540, values: .exact([[3_540]]))
        var heavy = some
        heavy.heavyUsers = 300
        var open = some
        open.open = [0, 2, 0]
        open.stillOpen = [1, 1, 0]
        var large = some
        large.counts = [(1 << 48) - 1, 70_000, 1]
        large.fromFirst[1] = TimeSummary(
            count: 70_000, sum: UInt128(UInt64.max) * 3,
            values: .histogram([.init(0, count: 30_000), .init(300, count: 39_999), .init(7_423, count: 1)]))
        return [
            Sample(name: "nobody, no times", kind: .partialResult, message: .partialResult(none)),
            Sample(name: "exact times", kind: .partialResult, message: .partialResult(some)),
            Sample(name: "who can still go on", kind: .partialResult, message: .partialResult(open)),
            Sample(name: "heavy users left out", kind: .partialResult, message: .partialResult(heavy)),
            Sample(name: "histogram", kind: .partialResult, message: .partialResult(large)),
            Sample(name: "groups", kind: .partialResult, message: .partialResult(grouped)),
            Sample(name: "leading groups", kind: .partialResult, message: .partialResult(leading)),
            Sample(
                name: "nobody in any group", kind: .partialResult,
                message: .partialResult(reporting(.breakdown(ValueGroups(steps: 2)), counts: [0, 0]))),
            Sample(
                name: "a trend", kind: .partialResult,
                message: .partialResult(reporting(.trend([[3, 2], [0, 0], [300, 1]]), counts: [301, 3]))),
            Sample(
                name: "a span of entries", kind: .partialResult,
                message: .partialResult(reporting(.entrySpan(1_710_892_800_000_000...1_710_892_800_990_000), counts: [0, 0]))),
            Sample(
                name: "no entries", kind: .partialResult,
                message: .partialResult(reporting(.entrySpan(nil), counts: [0, 0]))),
            Sample(name: "variants", kind: .partialResult, message: .partialResult(variants)),
            Sample(
                name: "two funnels", kind: .partialResult, message: .partialResult(reporting(.paired(paired), counts: [337, 13]))),
        ] + peopleResults
    }()

    /// Every kind of value; the order is that of the values as text.
    private static let grouped: PartialResult = {
        let counts: [PropertyValue: [UInt64]] = [
            .string("pro"): [300, 200], .string(""): [1, 1], .string("10"): [1, 0], .integer(10): [4, 4],
            .integer(.min): [1, 0], .double(0.5): [1, 1], .double(1e300): [1, 0], .bool(true): [1, 0], .bool(false): [1, 1],
        ]
        let groups = ValueGroups(absent: [2, 0], counts)
        return reporting(.breakdown(groups), counts: [313, 207])
    }()

    /// One of the values was asked about by name, and nobody has it.
    private static let leading: PartialResult = {
        var groups = ValueGroups(absent: [10, 4], [.string("pro"): [300, 200], .string("free"): [200, 7], .bool(false): [0, 0]])
        groups.leaveOut(values: 70_000, users: 199)
        return reporting(.breakdown(groups), counts: [210_510, 311])
    }()

    private static let variants: PartialResult = {
        let groups = ValueGroups(absent: [2, 0], [.string("control"): [300, 3], .integer(1): [299, 200]])
        return reporting(.variants(groups, several: 300), counts: [601, 203])
    }()

    private static let paired: PairedCounts = {
        var pairs = PairedCounts()
        for (field, count) in zip(PairedCounts.fields, [300, 3, 7, 9, 18, 1, 5, 0] as [UInt64]) { pairs[keyPath: field] = count }
        return pairs
    }()

    static func reporting(_ report: PartialResult.Report, counts: [UInt64]) -> PartialResult {
        var result = PartialResult(steps: 2, times: false, buckets: [0..<1_024])
        result.counts = counts
        result.report = report
        return result
    }

    static let userLists: [Sample] = [
        Sample(name: "nobody", kind: .userList, message: .userList(UserList(users: []))),
        Sample(name: "nobody, and heavy users left out", kind: .userList, message: .userList(UserList(users: [], heavyUsers: 2))),
        Sample(name: "three", kind: .userList, message: .userList(UserList(users: ["Zoe\u{308}", "Zo\u{EB}", "ann"]))),
        Sample(
            name: "the longest id", kind: .userList,
            message: .userList(UserList(users: [ByteString(String(repeating: "x", count: Limits.userIDBytes))]))),
    ]

    static let healths: [Sample] = [
        Sample(name: "asked", kind: .health, context: asked, message: .empty),
        Sample(
            name: "ready", kind: .healthResult,
            message: .healthResult(HealthResult(role: .shard, ready: true, epoch: 3))),
        Sample(
            name: "starting", kind: .healthResult, context: asked,
            message: .healthResult(HealthResult(role: .ingest, ready: false, epoch: 0))),
    ]

    static let snapshots: [Sample] = {
        let map = ClusterMap(
            clusterID: .max, epoch: 2,
            shards: [.init(id: 0, host: "127.0.0.1", port: 8_100), .init(id: 1, host: "shard-1.local", port: 65_535)])
        let keys = KeyRole.allCases.map {
            ClusterSnapshot.Key(
                role: $0, project: UInt32($0.rawValue) - 1, hash: [UInt8](repeating: $0.rawValue, count: 32))
        }
        return [
            Sample(
                name: "asked", kind: .snapshotRequest, context: asked,
                message: .snapshotRequest(SnapshotRequest(known: 7, waitMilliseconds: 20_000, origin: nil))),
            Sample(
                name: "two shards, three keys", kind: .snapshot,
                message: .snapshot(ClusterSnapshot(revision: 1 << 53, lineage: 0, map: map, keys: keys))),
            Sample(
                name: "empty", kind: .snapshot,
                message: .snapshot(
                    ClusterSnapshot(revision: 0, lineage: 0, map: ClusterMap(clusterID: 1, epoch: 0, shards: []), keys: []))),
            Sample(
                name: "asked for the lineage too", kind: .snapshotRequest, context: asked,
                message: .snapshotRequest(
                    SnapshotRequest(known: 7, waitMilliseconds: 0, origin: .init(lineage: 0x0102_0304_0506_0708, checksum: 0xE306_9283)))),
            Sample(
                name: "with its lineage", kind: .snapshot,
                message: .snapshot(ClusterSnapshot(revision: 8, lineage: .max, map: map, keys: []))),
            Sample(
                name: "with the ids of the shards' data", kind: .snapshot,
                message: .snapshot(ClusterSnapshot(revision: 9, lineage: 1, map: map, keys: keys, dataIDs: [0, 0x0102_0304_0506_0708]))),
        ]
    }()

    static let identities: [Sample] = {
        let cluster = ClusterState(id: 0x1122_3344_5566_7788, lineage: 0x0102_0304_0506_0708, revision: 8, epoch: 1)
        return [
            Sample(name: "asked", kind: .identityRequest, context: asked, message: .empty),
            Sample(
                name: "a shard", kind: .identity,
                message: .identity(
                    PeerIdentity(
                        role: .shard, shard: 1, shardCount: 2, cluster: cluster, problem: nil, instance: "a1b2", version: "0.2.0",
                        dataID: 0x0102_0304_0506_0708))),
            Sample(
                name: "a shard that is starting", kind: .identity, context: asked,
                message: .identity(
                    PeerIdentity(
                        role: .shard, shard: 0, shardCount: 0, cluster: ClusterState(), problem: "waiting for the cluster map",
                        instance: "",
                        version: "0.2.0"))),
            Sample(
                name: "a coordinator", kind: .identity,
                message: .identity(
                    PeerIdentity(
                        role: .coordinator, shard: nil, shardCount: 256, cluster: cluster, problem: nil, instance: "", version: "0.2.0"))),
        ]
    }()

    static let errors: [Sample] =
        ProtocolError.Code.allCases.map { code in
            Sample(name: code.traits.name, kind: .error, message: .error(ProtocolError(code, "what happened")))
        } + [
            Sample(
                name: "faults and shards", kind: .error,
                message: .error(
                    ProtocolError(
                        .invalidQuery, "2 faults",
                        faults: [
                            .init("steps", "is required"), .init("window_duration", "must be a string, not a number"),
                        ],
                        shards: ["shard-0", "shard-3"])))
        ]
}
