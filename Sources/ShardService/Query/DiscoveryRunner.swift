import EventStorage
import FunnelModel
import FunnelProtocol
import FunnelQuery

/// Answers discovery queries: the names, properties and values of a project's events.
struct DiscoveryRunner: Sendable {
    let workers: QueryWorkers
    let job: QueryJob
    /// Made by `QueryWorkers.polling`.
    let isCancelled: @Sendable () -> Bool

    func run(_ query: DiscoveryQuery, _ view: StoreView) async throws -> Discovery {
        try await workers.admitting(job.project) { try await scan(query, view) }
    }

    private func scan(_ query: DiscoveryQuery, _ view: StoreView) async throws -> Discovery {
        switch query {
        case .totals: .totals(ProjectTotals())
        case .names: .names(ProjectNames())
        case .events(let prefix): .events(try await workers.run(job) { view.eventRows(prefix: prefix) })
        case .properties(let event):
            .properties(
                try await workers.run(job) {
                    try matching { try view.propertyRows(event: event.isEmpty ? nil : event, isCancelled: isCancelled) }
                })
        case .values(let property, let event, let prefix):
            .values(try await values(ValueScan(view, property: property, event: event.isEmpty ? nil : event, prefix: prefix)))
        }
    }

    private func values(_ running: ValueScan) async throws -> ValueRows {
        let parts = try await workers.run(job, parts: running.slices) { try matching { try running.run(isCancelled: isCancelled) } }
        return try await workers.run(job) { parts.dropFirst().reduce(into: parts[0]) { $0.add($1) } }
    }
}
