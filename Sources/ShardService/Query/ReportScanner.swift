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
        case .breakdown(let breakdown): return .breakdown(try await groups(breakdown, scan, isCancelled))
        case .trend(let bounds):
            let running = scan.trend(bounds)
            var whole = TrendTally(buckets: bounds.count - 1, steps: scan.plan.steps)
            for tally in try await all(running.slices, { try running.run(isCancelled: isCancelled) }) { whole.merge(tally) }
            return .trend(whole.finish())
        case .entrySpan:
            let running = scan.entrySpan()
            let found = try await all(running.slices) { try running.run(isCancelled: isCancelled) }.compactMap(\.self)
            guard let least = found.map(\.lowerBound).min(), let greatest = found.map(\.upperBound).max() else {
                return .entrySpan(nil)
            }
            return .entrySpan(least...greatest)
        }
    }

    private func all<T: Sendable>(_ slices: Int, _ body: @escaping @Sendable () throws -> T) async throws -> [T] {
        try await workers.run(parts: slices) { try matching(body) }
    }

    private func groups(
        _ breakdown: Breakdown, _ scan: FunnelScan, _ isCancelled: @escaping @Sendable () -> Bool
    ) async throws -> ValueGroups {
        let running = scan.breakdown(breakdown)
        do {
            var whole = GroupTally(steps: scan.plan.steps)
            for tally in try await all(running.slices, { try running.run(isCancelled: isCancelled) }) { try whole.merge(tally) }
            return whole.finish()
        } catch let error as TooManyValues {
            let name = "shard-\(shard)"
            let reason = """
                "\(breakdown.property.string)" has more than \(error.values) distinct values on \(name), or more than \
                \(error.bytes >> 20) MiB of them; break down by a coarser property
                """
            throw ProtocolError(
                .invalidQuery, "breakdown.property: \(reason)", faults: [FieldFault("breakdown.property", reason)], shards: [name])
        }
    }
}
