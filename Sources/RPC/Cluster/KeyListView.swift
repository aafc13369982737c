import FunnelModel
import FunnelProtocol
import Logging
import Synchronization

/// A service's copy of the list of created API keys. Reports to the coordinator which keys were used.
package final class KeyListView: Sendable {
    private let list: ListView<KeyListFollower>

    /// Reads the file, if there is one.
    /// - Parameters:
    ///   - cluster: id of the cluster; 0 before it is known.
    ///   - use: puts a list in force.
    package init(
        file: SnapshotFile, cluster: @escaping @Sendable () -> UInt64, logger: Logger, use: @escaping @Sendable (CreatedKeys) -> Void
    ) {
        list = ListView(KeyListFollower(use), file: file, cluster: cluster, logger: logger)
    }

    /// Follows the coordinator until cancelled.
    package func follow(_ coordinator: FrameClient) async { await list.follow(coordinator) }
}

extension KeyListMessage: ListMessage {
    package static var kind: FrameKind { .keyList }
    package static var path: CallPath { .keys }
    package static var noun: String { "list of created API keys" }

    package var count: Int? { keys?.count }
}

private final class KeyListFollower: ListFollower {
    /// Nil until there is a list.
    private let created = Mutex<CreatedKeys?>(nil)
    private let use: @Sendable (CreatedKeys) -> Void

    init(_ use: @escaping @Sendable (CreatedKeys) -> Void) { self.use = use }

    func request(known: UInt64, wait: Duration) -> ListRequest {
        let created = created.withLock { $0 }
        let uses = created?.unreportedUses(limit: Limits.keyUses) ?? []
        // With as many uses as a request can have, there are more.
        let wait = uses.count == Limits.keyUses ? .zero : wait
        let request = KeyListRequest(known: known, waitMilliseconds: UInt32(wait / .milliseconds(1)), uses: uses)
        return ListRequest(body: request.body, wait: wait) { created?.didReport(uses) }
    }

    func take(_ list: KeyListMessage) -> KeyListMessage {
        let created = created.withLock { created in
            let next = CreatedKeys(list.keys ?? [], replacing: created)
            created = next
            return next
        }
        use(created)
        return list
    }

    /// A coordinator without the list has no created keys. If no list is known, it is empty.
    func takeNone() {
        let empty = created.withLock { created -> CreatedKeys? in
            guard created == nil else { return nil }
            let empty = CreatedKeys()
            created = empty
            return empty
        }
        if let empty { use(empty) }
    }
}
