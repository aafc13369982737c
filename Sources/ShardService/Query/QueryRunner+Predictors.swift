import FunnelModel
import FunnelProtocol
import FunnelQuery
import ServiceRuntime

extension QueryRunner {
    /// Counts predictors. Throws `ProtocolError` `.invalidQuery` if there are too many distinct events and values.
    func predictors(_ running: PredictorScan) async throws -> PredictorCounts {
        do {
            let found = Handover(try await all(running.slices) { try running.run(isCancelled: isCancelled) })
            return try await alone {
                var tallies = found.take()
                let first = tallies.removeFirst()
                return try tallies.reduce(into: first) { try $0.merge($1) }.finish()
            }
        } catch is TooManyFeatures {
            throw refusal(
                "properties",
                "more than \(Limits.predictorFeatures) distinct events and values, or \(Limits.predictorBytes >> 20) MiB of them",
                "set this to false to count events only")
        }
    }
}
