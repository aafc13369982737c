import FunnelModel
import FunnelProtocol
import Logging
import RPC
import ServiceHost
import ServiceRuntime

/// Counts queries by project and outcome, and measures their time. Evaluations for live viewers are counted separately.
struct QueryTally: Sendable {
    private static let codes = ProtocolError.Code.allCases

    private let counters: ProjectCounters
    private let latency: LatencyHistogram
    private let limit = LogLimit()
    private let logger: Logger

    init(_ metrics: Metrics, _ logger: Logger) {
        let whole = [[("outcome", "ok"), ("code", "")], [("outcome", "partial"), ("code", "")]]
        counters = metrics.counters(
            "sluice_queries_total",
            "queries by outcome; partial = answers without some shards, cancelled = the caller left",
            by: whole + Self.codes.map { [("outcome", Self.outcome($0)), ("code", $0.traits.name)] })
        latency = metrics.latency("sluice_query_seconds", "time of a whole query, in seconds, with queueing")
        self.logger = logger
    }

    private static func outcome(_ code: ProtocolError.Code) -> String {
        switch code {
        case .cancelled: "cancelled"
        case .overloaded, .notReady: "refused"
        default: code.traits.httpStatus < 500 ? "refused" : "failed"
        }
    }

    /// Runs `body`, and counts its outcome and time.
    /// - Parameter isPartial: whether the answer lacks shards.
    func count<T>(_ project: UInt32, isPartial: (T) -> Bool, _ body: () async throws -> T) async throws -> T {
        let start = ContinuousClock.now
        defer { latency.record(ContinuousClock.now - start) }
        do {
            let answer = try await body()
            counters.add(1, isPartial(answer) ? 1 : 0, project: project)
            return answer
        } catch {
            let problem = ProtocolError(of: error)
            counters.add(1, 2 + (Self.codes.firstIndex(of: problem.code) ?? 0), project: project)
            if Self.outcome(problem.code) == "failed" || problem.code == .overloaded {
                limit.log(
                    logger, .warning, "\(problem.code) \(problem.shards)", "queries fail",
                    ["project": "\(project)", "code": "\(problem.code.traits.name)", "reason": "\(problem.message)"])
            }
            throw error
        }
    }

    /// The same for a JSON answer, whose `completeness` says whether shards are missing.
    func count(_ project: UInt32, _ body: () async throws -> JSONValue) async throws -> JSONValue {
        try await count(project, isPartial: { $0["completeness"]?["missing"]?.asArray?.isEmpty == false }, body)
    }
}
