import FunnelMatch
import FunnelModel
import FunnelProtocol
import FunnelScan

/// Finds what a query asks beside the counts.
struct ReportScanner: Sendable {
    let workers: QueryWorkers
    /// Names this shard in errors.
    let shard: Int

    func run(
        _ report: PartialQuery.Report, _ scan: FunnelScan, isCancelled: @escaping @Sendable () -> Bool
    ) async throws -> PartialResult.Report {
        switch report {
        case .breakdown(let breakdown):
            let running = scan.breakdown(breakdown)
            return .breakdown(
                try await telling(breakdown.property) {
                    let tallies = try await workers.run(parts: running.slices) { try matching { try running.run(isCancelled: isCancelled) } }
                    var whole = GroupTally(steps: scan.plan.steps)
                    for tally in tallies { try whole.merge(tally) }
                    return whole.finish()
                })
        case .trend(let bounds):
            let running = scan.trend(bounds)
            let tallies = try await workers.run(parts: running.slices) { try matching { try running.run(isCancelled: isCancelled) } }
            var whole = TrendTally(buckets: bounds.count - 1, steps: scan.plan.steps)
            for tally in tallies { whole.merge(tally) }
            return .trend(whole.finish())
        case .entrySpan:
            let running = scan.entrySpan()
            let spans = try await workers.run(parts: running.slices) { try matching { try running.run(isCancelled: isCancelled) } }
            let found = spans.compactMap(\.self)
            guard let least = found.map(\.lowerBound).min(), let greatest = found.map(\.upperBound).max() else { return .entrySpan(nil) }
            return .entrySpan(least...greatest)
        }
    }

    private func telling<T>(_ property: ByteString, _ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch let error as TooManyValues {
            let reason = "\"\(property.string)\" has more than \(error.values) distinct values on shard-\(shard), or more than \(error.bytes) bytes of them"
            throw ProtocolError(
                .invalidQuery, "breakdown.property: \(reason)", faults: [FieldFault("breakdown.property", reason)], shards: ["shard-\(shard)"])
        }
    }
}
