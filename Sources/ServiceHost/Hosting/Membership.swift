import FunnelModel
import FunnelProtocol
import Logging
import RPC
import ServiceLifecycle
import ServiceRuntime

/// A service's connection to the coordinator: it follows the cluster snapshot, and ingest also the lists of created API keys and of
/// normalisation rules. The last ones are kept in the data directory.
package struct Membership: Sendable {
    package let view: ClusterView
    /// Nil for a shard, which checks no API keys.
    private let keys: KeyListView?
    /// Nil for a shard, which gets events after the rules.
    private let rules: RuleListView?
    /// True if the data directory is a copy: then the stored snapshot may belong to another cluster, which uses the original.
    package var isCopy: Bool { lock.isCopy }
    private let coordinator: FrameClient
    private let lock: DirectoryLock

    package static let settings: [Setting] = [
        Setting("coordinator", .text, default: "127.0.0.1:8091", "the coordinator's wire address, host:port"),
        Setting("data", .text, default: "", "data directory of this service; required"),
    ]

    /// Takes the lock of the data directory. Throws `InvalidDocument` if a setting is invalid or another process holds the lock.
    /// - Parameter useRules: puts normalisation rules in force, as `RuleListView` needs it; nil for a service that needs none.
    package init(_ node: Node, useRules: (@Sendable ([ProjectRules]) -> [ProjectRules])? = nil) async throws {
        let place = node.settings.text("coordinator")
        guard let address = parseAddress(place) else {
            throw InvalidDocument([FieldFault("--coordinator", addressFault(place) ?? "")])
        }
        let directory = node.settings.text("data")
        guard !directory.isEmpty else { throw InvalidDocument([FieldFault("--data", "is required")]) }
        lock = try await node.lockDirectory(directory)
        let view = ClusterView(
            file: Self.file(directory + "/cluster.snapshot"), mayBeOpen: isLoopback(node.host), logger: node.logger)
        self.view = view
        keys =
            node.role == .ingest
            ? KeyListView(file: Self.file(directory + "/cluster.keys"), cluster: { view.cluster.id }, logger: node.logger) { view.use($0) }
            : nil
        rules = useRules.map { use in
            RuleListView(
                file: Self.file(directory + "/cluster.rules"), cluster: { view.cluster.id }, logger: node.logger, use: use)
        }
        coordinator = FrameClient(
            name: "coordinator", host: address.host, port: address.port, service: node.identity { view.cluster },
            expecting: .coordinator, group: node.group, tls: node.clientTLS, connections: 1, logger: node.logger)
        node.addClusterMetrics { view.cluster }
        node.metrics.gauge(
            "sluice_coordinator_heard_seconds", "seconds since the coordinator last answered; -1 before its first answer"
        ) {
            view.sinceHeard.map { $0 / .seconds(1) } ?? -1
        }
        node.metrics.gauge(
            "sluice_clock_offset_seconds", "seconds that the coordinator's clock is ahead, as of its last answer; 0 before the first"
        ) { [coordinator] in
            coordinator.clockOffset.map { $0 / .seconds(1) } ?? 0
        }
    }

    /// Max bytes of a kept file: of the longest list, with room for what is around its entries.
    private static let fileBytes = 2 * Limits.ruleListBytes

    private static func file(_ path: String) -> SnapshotFile {
        SnapshotFile(
            read: { try DurableFile.readKept(path, bytesMax: fileBytes) }, write: { bytes in try DurableFile.replace(path, with: bytes) })
    }

    /// Whether the normalisation rules are known. While the coordinator is away, a directory in which no process has had any counts as
    /// having none.
    package var knowsRules: Bool {
        guard let rules else { return true }
        return rules.isKnown || rules.lacksFile && view.sinceHeard == nil
    }

    /// Follows the coordinator until the process stops.
    package var service: any Service {
        Background { [self] in
            await withDiscardingTaskGroup { group in
                group.addTask { await view.follow(coordinator) }
                if let keys { group.addTask { await keys.follow(coordinator) } }
                if let rules { group.addTask { await rules.follow(coordinator) } }
            }
            await coordinator.shutdown()
        }
    }

    /// Calls the coordinator.
    package func call(_ path: CallPath, _ body: [UInt8], timeout: Duration) async throws(ProtocolError) -> [UInt8] {
        try await coordinator.call(path, body, timeout: timeout)
    }

    /// Marks a copied data directory as this cluster's own. To be called once the cluster map is confirmed.
    package func claim() { if lock.isCopy { lock.claim() } }
}

extension Node {
    /// Takes the lock of a data directory. Waits up to 15 s for another process to release it, then throws `InvalidDocument`.
    package func lockDirectory(_ directory: String) async throws(InvalidDocument) -> DirectoryLock {
        do throws(DirectoryLock.Fault) {
            do throws(DirectoryLock.Fault) {
                return try DirectoryLock(directory)
            } catch .held(let held, let pid) {
                let fault = DirectoryLock.Fault.held(directory: held, pid: pid)
                logger.notice("waiting for another process to end", metadata: ["reason": "\(fault)"])
                return try await DirectoryLock.take(directory, patience: .seconds(15))
            }
        } catch {
            throw InvalidDocument([FieldFault("--data", "\(error)")])
        }
    }

    /// Adds the revision and the map epoch of the metadata that this process uses.
    package func addClusterMetrics(_ cluster: @escaping @Sendable () -> ClusterState) {
        metrics.gauge("sluice_cluster_revision", "revision of the cluster metadata in use; the same on all services") {
            Double(cluster().revision)
        }
        metrics.gauge("sluice_cluster_map_epoch", "epoch of the cluster map in use; the same on all services") { Double(cluster().epoch) }
    }
}

/// Throws if no key is configured and the service listens off loopback.
package func requireKeys(_ node: Node, _ keys: KeyRing) throws {
    if keys.isOpen, !isLoopback(node.host) {
        throw InvalidDocument([
            FieldFault(
                "--host",
                "\(node.host) is off loopback and no key is configured: give SLUICE_WRITE_KEYS, SLUICE_READ_KEYS or SLUICE_ADMIN_KEYS to the coordinator"
            )
        ])
    }
    if keys.isOpen { node.logger.notice("no key is configured: listening on loopback only, Authorization is ignored") }
}
