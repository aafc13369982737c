import FunnelModel
import FunnelProtocol
import ServiceRuntime
import FunnelQuery

/// What users do around the steps.
extension QueryRunner {
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
                "length", "more than \(Limits.paths) distinct paths, or \(Limits.pathBytes >> 20) MiB of them", "shorten the paths or name events")
        }
    }

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
                "ask for events alone, with false")
        }
    }

    private func refusal(_ field: String, _ what: String, _ advice: String) -> ProtocolError {
        let name = "shard-\(shard)"
        let reason = "there are \(what) on \(name); \(advice)"
        return ProtocolError(.invalidQuery, "\(field): \(reason)", faults: [FieldFault(field, reason)], shards: [name])
    }
}
