import FunnelModel
import FunnelProtocol
import FunnelQuery
import ServiceRuntime

extension QueryRunner {
    /// Counts paths. Throws `ProtocolError` `.invalidQuery` if there are too many distinct ones.
    func paths(_ running: PathScan) async throws -> PathCounts {
        do {
            let found = Handover(try await all(running.slices) { try running.run(isCancelled: isCancelled) })
            return try await alone {
                var tallies = found.take()
                let first = tallies.removeFirst()
                return try tallies.reduce(into: first) { try $0.merge($1) }.finish()
            }
        } catch is TooManyPaths {
            throw refusal(
                "length", "more than \(Limits.paths) distinct paths, or \(Limits.pathBytes >> 20) MiB of them",
                "shorten the paths or name events")
        }
    }
}
