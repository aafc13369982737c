import FunnelModel
import FunnelProtocol
import FunnelScan
import FunnelStorage

/// Finds the names, properties and values that a project's events have.
struct DiscoveryScanner: Sendable {
    let workers: QueryWorkers
    let isCancelled: @Sendable () -> Bool

    func run(_ query: DiscoveryQuery, _ store: ShardStore<POSIXFileSystem>, project: UInt32) async throws -> Discovery {
        let snapshot = store.snapshot(project: project)
        return switch query {
        // At hand, and so not in line with the scans.
        case .totals: .totals(store.totals(project: project))
        case .events(let prefix): .events(try await alone { snapshot.eventRows(prefix: prefix) })
        case .properties(let event):
            .properties(
                try await alone {
                    try matching { try snapshot.propertyRows(event: event.isEmpty ? nil : event, isCancelled: isCancelled) }
                })
        case .values(let property, let event, let prefix):
            .values(try await values(ValueScan(snapshot, property: property, event: event.isEmpty ? nil : event, prefix: prefix)))
        }
    }

    private func alone<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await workers.run(parts: 1, body)[0]
    }

    private func values(_ running: ValueScan) async throws -> ValueRows {
        let parts = try await workers.run(parts: running.slices) { try matching { try running.run(isCancelled: isCancelled) } }
        return parts.dropFirst().reduce(into: parts[0]) { $0.add($1) }
    }
}
