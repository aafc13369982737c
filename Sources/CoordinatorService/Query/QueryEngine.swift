import FunnelModel
import FunnelProtocol
import FunnelRPC
import FunnelRuntime

/// Plans a query, asks the shards, and adds up what they say. One map for the whole answer.
final class QueryEngine: Sendable {
    let fleet: ShardFleet
    let catalogue: FunnelCatalogue
    let gate: AdmissionGate
    let latency: LatencyHistogram
    private let requests = RequestNumbers()

    init(_ fleet: ShardFleet, catalogue: FunnelCatalogue, gate: AdmissionGate, metrics: Metrics) {
        self.fleet = fleet
        self.catalogue = catalogue
        self.gate = gate
        latency = metrics.latency("sluice_query_seconds", "time of a whole query, waiting in line included")
        metrics.gauge("sluice_queries_running", "queries being answered") { Double(gate.load.running) }
        metrics.gauge("sluice_queries_queued", "queries in line") { Double(gate.load.queued) }
    }

    func report(_ request: QueryRequest, project: UInt32) async throws -> FunnelReport {
        let start = ContinuousClock.now
        defer { latency.record(ContinuousClock.now - start) }
        let query = try await resolve(request, project)
        try request.breakdown?.check(against: query.definition)
        try request.variants?.check(against: [query.definition] + (query.second.map { [$0] } ?? []))
        let (bounds, gathered) = try await gate.run(until: start + request.deadline) {
            try await gather(query, project, start)
        }
        let results = Self.merge(gathered.answers, query, bounds)
        let completeness = try judge(gathered.missing, newest: results[0].newestEvent, request.allowPartial)
        return try Self.report(query, results, bounds, completeness)
    }

    /// One page of user ids.
    func users(_ request: UsersRequest, project: UInt32) async throws -> UsersPage {
        let start = ContinuousClock.now
        let resolved = try await resolve(request.query, project)
        let step = try request.position(in: resolved.definition)
        let gathered = try await gate.run(until: start + request.query.deadline) {
            try await fanOut(request.query.deadline, start) { link, left, number in
                let query = PartialUsersQuery(
                    query: resolved.withoutFigures(buckets: link.buckets), step: step, outcome: request.outcome,
                    group: request.group, limit: request.limit + 1, after: request.after)
                var users: [ByteString] = []
                try await link.bulk.call(.partialUsers, query.body, project: project, request: number, timeout: left) {
                    body throws(ProtocolError) in
                    users += try decoding("user list") { () throws(ByteError) in try UserList(body: body) }.users
                }
                return users
            }
        }
        let completeness = try judge(gathered.missing, newest: nil, request.query.allowPartial)
        let sorted = gathered.answers.joined().sorted()
        let page = Array(sorted.prefix(request.limit))
        return UsersPage(
            users: page, next: sorted.count > request.limit ? page.last : nil, asOf: request.query.asOf,
            completeness: completeness)
    }

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
        guard left > .zero else { throw ProtocolError(.deadlineExceeded, "the deadline passed while the query was in line") }
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
                    guard Self.meansMissing(error.code) else { throw error }
                    gathered.missing.append((links[i], error))
                }
            }
            return gathered
        }
    }

    /// True where the shard could not answer now; false where the question itself is at fault.
    private static func meansMissing(_ code: ProtocolError.Code) -> Bool {
        switch code {
        case .workBudget, .invalidQuery, .invalidMessage, .tooLarge, .cancelled: return false
        default: return true
        }
    }

    func judge(
        _ missing: [(shard: ShardFleet.Link, error: ProtocolError)], newest: Int64?, _ allowPartial: Bool
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
            newestEvent: newest)
    }
}

/// How much of the cluster an answer speaks for.
struct Completeness: Equatable, Sendable {
    var asked: Int
    var answered: Int
    var missing: [Int]
    /// Microseconds.
    var newestEvent: Int64?

    var json: JSONValue {
        [
            "shards_asked": .count(asked), "shards_answered": .count(answered),
            "missing": .array(missing.map { .count($0) }),
            "newest_event": newestEvent.map { .text(Timestamp.format($0)) } ?? .null, "exact": .bool(asked == answered),
        ]
    }

    /// Without the newest event, which lists don't ask for.
    var listJSON: JSONValue { .object((json.asObject ?? []).filter { $0.key != "newest_event" }) }
}
