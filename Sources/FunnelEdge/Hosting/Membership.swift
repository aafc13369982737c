import FunnelModel
import FunnelProtocol
import FunnelRPC
import FunnelRuntime
import Glibc
import Logging
import ServiceLifecycle

/// A service's tie to the coordinator: its view of the cluster, kept in the data directory and followed.
package struct Membership: Sendable {
    package let view: ClusterView
    private let coordinator: FrameClient

    package static let settings: [Setting] = [
        Setting("coordinator", .text, default: "127.0.0.1:8091", "the coordinator's wire address, host:port"),
        Setting("data", .text, default: "", "directory for what this service must keep"),
    ]

    package init(_ node: Node) throws {
        guard let address = parseAddress(node.settings.text("coordinator")) else {
            throw InvalidDocument([FieldFault("--coordinator", "must be host:port, not \"\(node.settings.text("coordinator"))\"")])
        }
        let directory = node.settings.text("data")
        guard !directory.isEmpty else { throw InvalidDocument([FieldFault("--data", "is required")]) }
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else {
            throw InvalidDocument([FieldFault("--data", "cannot create \(directory): \(String(cString: strerror(errno)))")])
        }
        let path = directory + "/cluster.snapshot"
        let file = SnapshotFile(
            read: { DurableFile.read(path) }, write: { bytes in try DurableFile.replace(path, with: bytes) })
        let view = ClusterView(file: file, mayBeOpen: isLoopback(node.host), logger: node.logger)
        self.view = view
        coordinator = FrameClient(
            name: "coordinator", host: address.host, port: address.port, service: node.identity { view.cluster },
            group: node.group, tls: node.clientTLS, connections: 1, logger: node.logger)
    }

    /// Follows the coordinator until the process stops.
    package var service: any Service {
        Background { [view, coordinator] in
            await view.follow(coordinator)
            await coordinator.shutdown()
        }
    }
}

/// Off loopback nobody may come in without a key.
package func requireKeys(_ node: Node, _ keys: KeyRing) throws {
    if keys.isOpen, !isLoopback(node.host) {
        throw InvalidDocument([
            FieldFault("--host", "\(node.host) is off loopback and no key is configured: give SLUICE_WRITE_KEYS, SLUICE_READ_KEYS or SLUICE_ADMIN_KEYS to the coordinator")
        ])
    }
    if keys.isOpen { node.logger.notice("no key is configured: listening on loopback only, Authorization is ignored") }
}
