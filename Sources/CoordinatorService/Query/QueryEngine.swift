import FunnelModel
import FunnelProtocol
import Logging
import RPC
import ServiceRuntime

/// Runs queries: plans them, asks the shards of one cluster map, and merges the answers.
final class QueryEngine: Sendable {
    let fleet: ShardFleet
    let savedFunnels: SavedFunnels
    let gate: AdmissionGate
    let sharedTotals: SharedTotals
    let sharedLimits: SharedLimits
    /// Threads for long work, so that it does not delay answers of other queries.
    let aside = WorkThreads(isBackground: true)
    let tally: QueryTally
    private let requests = RequestNumbers()

    init(_ fleet: ShardFleet, savedFunnels: SavedFunnels, gate: AdmissionGate, metrics: Metrics, logger: Logger) {
        self.fleet = fleet
        self.savedFunnels = savedFunnels
        self.gate = gate
        sharedTotals = SharedTotals { await QueryEngine.askTotals(fleet, $0) }
        tally = QueryTally(metrics, logger)
        sharedLimits = SharedLimits { await QueryEngine.askNames(fleet, $0) }
        metrics.gauge("sluice_queries_running", "queries being answered now; max is queries-running") { Double(gate.load.running) }
        metrics.gauge("sluice_queries_queued", "queries in the queue now; max is queries-queued") { Double(gate.load.queued) }
    }

    func report(_ request: QueryRequest, project: UInt32) async throws -> FunnelReport {
        let start = ContinuousClock.now
        let query = try await resolve(request, project)
        try request.breakdown?.check(against: query.definition)
        try request.variants?.check(against: [query.definition] + (query.second.map { [$0] } ?? []))
        let isHeavy = isHeavy(query, query.report, project)
        let (bounds, gathered) = try await gate.run(project, isHeavy: isHeavy, until: start + request.deadline) {
            try await gather(query, project, start)
        }
        let isLong = gathered.answers.contains { $0.contains(where: \.isLarge) }
        let found = Handover(gathered)
        return try await aside.run(project, isLong: isLong) { [self] in
            let gathered = found.take()
            let results = Self.merge(gathered.answers, query, bounds)
            let heavy = Self.heavyUsers(gathered.answers)
            let completeness = try judge(gathered.missing, newest: results[0].newestEvent, request.allowPartial, heavy: heavy)
            return try Self.report(query, results, bounds, completeness)
        }
    }

    /// One page of user ids.
    func users(_ request: UsersRequest, project: UInt32) async throws -> UsersPage {
        try await users(request, of: try await resolve(request.query, project), project: project)
    }

    /// The same; `resolved` is the request's query.
    func users(_ request: UsersRequest, of resolved: ResolvedQuery, project: UInt32) async throws -> UsersPage {
        let start = ContinuousClock.now
        let step = try request.position(in: resolved.definition)
        let isHeavy = isHeavy(resolved, nil, project)
        let gathered = try await gate.run(project, isHeavy: isHeavy, until: start + request.query.deadline) {
            try await fanOut(request.query.deadline, start) { link, left, number in
                let query = PartialUsersQuery(
                    query: resolved.withoutFigures(buckets: link.buckets), step: step, outcome: request.outcome,
                    group: request.group, limit: request.limit + 1, after: request.after)
                var found = UserList(users: [])
                do {
                    for body in try await link.list(.partialUsers, query.body, project: project, request: number, timeout: left) {
                        let part = try decodingAnswer("user list", of: link.name) { () throws(ByteError) in try UserList(body: body) }
                        found.users += part.users
                        found.heavyUsers = part.heavyUsers ?? found.heavyUsers
                    }
                } catch let error as ProtocolError {
                    throw Self.explaining(error, of: query.query, link)
                }
                return found
            }
        }
        let heavy = request.query.leavesOutHeavy ? gathered.answers.reduce(0) { $0 + ($1.heavyUsers ?? 0) } : nil
        let completeness = try judge(gathered.missing, newest: nil, request.query.allowPartial, heavy: heavy)
        let sorted = gathered.answers.flatMap(\.users).sorted()
        let page = Array(sorted.prefix(request.limit))
        return UsersPage(
            users: page, next: sorted.count > request.limit ? page.last : nil, asOf: request.query.asOf,
            completeness: completeness)
    }

    /// The answers of shards, in order of their numbers, and the shards that did not answer.
    struct Gathered<T: Sendable>: Sendable {
        var answers: [T] = []
        var missing: [(shard: ShardFleet.Link, error: ProtocolError)] = []
    }

    /// Asks every shard at once. A shard that can't answer is missing; a question that no shard can answer is an error.
    /// - Parameter absent: ids of shards not to be asked.
    func fanOut<T: Sendable>(
        _ deadline: Duration, _ start: ContinuousClock.Instant, without absent: Set<Int> = [],
        ask: @escaping @Sendable (ShardFleet.Link, Duration, UInt64) async throws -> T
    ) async throws -> Gathered<T> {
        let left = deadline - (ContinuousClock.now - start)
        guard left > .zero else { throw ProtocolError(.deadlineExceeded, "the deadline passed while the query waited for its turn") }
        let number = requests.next()
        let links = fleet.links.filter { !absent.contains($0.id) }
        return try await withThrowingTaskGroup(of: (Int, Result<T, ProtocolError>).self) { group in
            for (i, link) in links.enumerated() {
                group.addTask {
                    do {
                        return (i, .success(try await ask(link, left, number)))
                    } catch let error as ProtocolError {
                        return (i, .failure(error))
                    }
                }
            }
            var results: [(Int, Result<T, ProtocolError>)] = []
            for try await result in group { results.append(result) }
            var gathered = Gathered<T>()
            for (i, result) in results.sorted(by: { $0.0 < $1.0 }) {
                switch result {
                case .success(let answer): gathered.answers.append(answer)
                case .failure(let error):
                    guard error.meansMissingShard else { throw error }
                    gathered.missing.append((links[i], error))
                }
            }
            return gathered
        }
    }

    /// The completeness of an answer. Throws if shards are missing and the query does not allow that.
    /// - Parameter heavy: users left out as too heavy; nil if they are an error.
    func judge(
        _ missing: [(shard: ShardFleet.Link, error: ProtocolError)], newest: Int64?, _ allowPartial: Bool, heavy: UInt64? = nil
    ) throws -> Completeness {
        if let first = missing.first, !allowPartial {
            let late = missing.allSatisfy { $0.error.code == .deadlineExceeded }
            let names = missing.map(\.shard.name)
            throw ProtocolError(
                late ? .deadlineExceeded : .shardUnavailable,
                "no answer from \(names.joined(separator: ", ")): \(first.error.message)", shards: names)
        }
        return Completeness(
            asked: fleet.links.count, answered: fleet.links.count - missing.count, missing: missing.map(\.shard.id),
            newestEvent: newest, heavyUsers: heavy)
    }

    /// Users left out on all shards; nil if they are an error. The parts of a query may leave out different users: of each shard,
    /// the max over the parts counts.
    static func heavyUsers(_ answers: [[PartialResult]]) -> UInt64? {
        let heavy = answers.compactMap { $0.compactMap(\.heavyUsers).max() }
        return heavy.isEmpty ? nil : heavy.reduce(0, +)
    }

    /// Explains the error of a shard of release 0.1, which refuses the flag that leaves out heavy users.
    static func explaining(_ error: ProtocolError, of query: PartialQuery, _ link: ShardFleet.Link) -> ProtocolError {
        guard query.leavesOutHeavy, error.code == .invalidMessage else { return error }
        let reason = "\(link.name) is of a release that can't leave users out; upgrade it, or ask without heavy_users"
        return ProtocolError(.invalidQuery, "heavy_users: \(reason)", faults: [FieldFault("heavy_users", reason)], shards: [link.name])
    }
}

extension ProtocolError {
    /// Of the error of a shard: true if the shard could not answer, or its answer is damaged; false if the question itself is at
    /// fault. A message that one side cannot read is no fault of the question, which the coordinator has read.
    package var meansMissingShard: Bool {
        switch code {
        case .workBudget, .invalidQuery, .tooLarge, .cancelled: false
        case .malformedFrame, .unsupportedVersion, .badChecksum, .damagedCompression, .unknownKind, .invalidMessage, .truncatedAnswer,
            .foreignCluster, .wrongEpoch, .wrongBucket, .notAuthenticated, .forbidden, .unknownFunnel, .overloaded, .notReady,
            .shardUnavailable, .deadlineExceeded, .sequenceExpired, .storageFull, .storageFailed, .connectionLost, .unknownError,
            .conflict, .unreachable, .ambiguousFunnel, .sequenceReused:
            true
        }
    }
}

/// Which shards and users an answer covers.
struct Completeness: Equatable, Sendable {
    var asked: Int
    var answered: Int
    var missing: [Int]
    /// Microseconds since 1970 UTC.
    var newestEvent: Int64?
    /// Users left out as too heavy; nil if they are an error.
    var heavyUsers: UInt64?

    var json: JSONValue {
        let heavy: [JSONValue.Member] = heavyUsers.map { [.init("heavy_users", .count(Int($0)))] } ?? []
        return .object((whole.asObject ?? []) + heavy)
    }

    private var whole: JSONValue {
        [
            "shards_asked": .count(asked), "shards_answered": .count(answered),
            "missing": .array(missing.map { .count($0) }),
            "newest_event": newestEvent.map { .text(Timestamp.format($0)) } ?? .null,
            "exact": .bool(asked == answered && heavyUsers ?? 0 == 0),
        ]
    }

    /// Without `newest_event`, for which lists don't ask.
    var listJSON: JSONValue { .object((json.asObject ?? []).filter { $0.key != "newest_event" }) }
}
