import FunnelModel
import FunnelProtocol
import Logging
import RPC
import ServiceLifecycle
import ServiceRuntime

/// A service's tie to the coordinator: its view of the cluster, kept in the data directory and followed.
package struct Membership: Sendable {
    package let view: ClusterView
    /// What is kept in the directory is of a copy: another cluster may be living by the original.
    package var isCopy: Bool { lock.isCopy }
    private let coordinator: FrameClient
    private let lock: DirectoryLock

    package static let settings: [Setting] = [
        Setting("coordinator", .text, default: "127.0.0.1:8091", "the coordinator's wire address, host:port"),
        Setting("data", .text, default: "", "directory for what this service must keep"),
    ]

    package init(_ node: Node) async throws {
        guard let address = parseAddress(node.settings.text("coordinator")) else {
            throw InvalidDocument([FieldFault("--coordinator", "must be host:port, not \"\(node.settings.text("coordinator"))\"")])
        }
        let directory = node.settings.text("data")
        guard !directory.isEmpty else { throw InvalidDocument([FieldFault("--data", "is required")]) }
        lock = try await node.lockDirectory(directory)
        let path = directory + "/cluster.snapshot"
        let file = SnapshotFile(
            read: { DurableFile.read(path) }, write: { bytes in try DurableFile.replace(path, with: bytes) })
        let view = ClusterView(file: file, mayBeOpen: isLoopback(node.host), logger: node.logger)
        self.view = view
        coordinator = FrameClient(
            name: "coordinator", host: address.host, port: address.port, service: node.identity { view.cluster },
            expecting: .coordinator, group: node.group, tls: node.clientTLS, connections: 1, logger: node.logger)
        node.addClusterMetrics { view.cluster }
        node.metrics.gauge(
            "sluice_coordinator_heard_seconds", "seconds since the coordinator last answered; -1 where it has not since the start"
        ) {
            view.sinceHeard.map { $0 / .seconds(1) } ?? -1
        }
        node.metrics.gauge(
            "sluice_clock_offset_seconds", "by how much the coordinator's clock is ahead, as of its last answer; 0 before one"
        ) { [coordinator] in
            coordinator.clockOffset.map { $0 / .seconds(1) } ?? 0
        }
    }

    /// Follows the coordinator until the process stops.
    package var service: any Service {
        Background { [self] in
            await view.follow(coordinator)
            await coordinator.shutdown()
        }
    }

    /// The coordinator has spoken: what the directory holds is this cluster's from here on.
    package func claim() { if lock.isCopy { lock.claim() } }
}

extension Node {
    /// Takes the lock of a data directory for the life of the process. One that is about to end may still hold it for a while.
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

    /// By which metadata the process acts.
    package func addClusterMetrics(_ cluster: @escaping @Sendable () -> ClusterState) {
        metrics.gauge("sluice_cluster_revision", "revision of the cluster's metadata that this process acts by") {
            Double(cluster().revision)
        }
        metrics.gauge("sluice_cluster_map_epoch", "epoch of the cluster map that this process acts by") { Double(cluster().epoch) }
    }
}

/// Off loopback nobody may come in without a key.
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
