import FunnelModel
import FunnelProtocol
import Logging
import Synchronization

/// A service's copy of the list of created API keys: fetched, used, kept on disk, and valid while the coordinator is away. Reports to
/// the coordinator which keys were used.
package final class KeyListView: Sendable {
    private struct State {
        /// 0 = none.
        var version: UInt64 = 0
        var created: CreatedKeys?
        var isOldCoordinator = false
    }

    private let state: Mutex<State>
    private let file: SnapshotFile
    private let cluster: @Sendable () -> UInt64
    private let use: @Sendable (CreatedKeys) -> Void
    private let logger: Logger

    /// The time that the coordinator waits for another list. Uses are reported as often.
    private static let wait = Duration.seconds(5)
    /// An answer that is later than this, after the wait, will not come.
    private static let answerMax = Duration.seconds(5)
    /// How often a coordinator of a release that has no such list is asked.
    package static let oldCoordinatorPause = Duration.seconds(5)

    /// Reads the file, if there is one.
    /// - Parameters:
    ///   - cluster: id of the cluster; 0 before it is known. A list of another cluster is not used, and none is asked for before.
    ///   - use: puts a list in force.
    package init(
        file: SnapshotFile, cluster: @escaping @Sendable () -> UInt64, logger: Logger, use: @escaping @Sendable (CreatedKeys) -> Void
    ) {
        self.file = file
        self.cluster = cluster
        self.use = use
        self.logger = logger
        state = Mutex(State())
        guard let bytes = file.read() else { return }
        do {
            let frame = try FrameDecoder.single(bytes)
            guard frame.kind == .keyList else { throw ProtocolError(.unknownKind, "the file holds \(frame.kind)") }
            guard frame.context.cluster == cluster() else {
                // The directory has become that of another cluster.
                logger.notice(
                    "the list of API keys on disk is of another cluster and not used",
                    metadata: ["cluster": "\(idText(frame.context.cluster))"])
                return
            }
            let kept = try decoding("key list") { () throws(ByteError) in try KeyListMessage(body: frame.body) }
            if let keys = kept.keys { take(keys, version: kept.version) }
        } catch {
            // Not fatal: until the coordinator answers, created keys are answered with `not_ready`.
            logger.warning("the file with the list of API keys is damaged and not used", metadata: ["error": "\(words(error))"])
        }
    }

    /// Follows the coordinator until cancelled. `ClusterView` logs failures of the coordinator.
    package func follow(_ coordinator: FrameClient) async {
        while !Task.isCancelled {
            // The list is kept under the cluster's id, which comes with the first snapshot.
            guard cluster() != 0 else {
                try? await Task.sleep(for: .milliseconds(20))
                continue
            }
            do throws(ProtocolError) {
                try await fetch(coordinator)
            } catch {
                if error.isUnknownPath {
                    noteOldCoordinator()
                    try? await Task.sleep(for: Self.oldCoordinatorPause)
                } else {
                    try? await Task.sleep(for: .milliseconds(500))
                }
            }
        }
    }

    /// One long poll. The first is answered at once.
    private func fetch(_ coordinator: FrameClient) async throws(ProtocolError) {
        let (known, created) = state.withLock { ($0.version, $0.created) }
        let uses = created?.unreportedUses(limit: Limits.keyUses) ?? []
        // With as many uses as a request can have, there are more.
        let wait = known == 0 || uses.count == Limits.keyUses ? .zero : Self.wait
        let request = KeyListRequest(known: known, waitMilliseconds: UInt32(wait / .milliseconds(1)), uses: uses)
        let body = try await coordinator.call(.keys, request.body, timeout: wait + Self.answerMax)
        let answer = try decodingAnswer("key list", of: coordinator.name) { () throws(ByteError) in try KeyListMessage(body: body) }
        created?.didReport(uses)
        state.withLock { $0.isOldCoordinator = false }
        if let keys = answer.keys, answer.version != known { accept(keys, answer.version) }
    }

    private func accept(_ keys: [CreatedKey], _ version: UInt64) {
        // Used before it is kept: a revocation must not wait for a disk that is full.
        take(keys, version: version)
        let message = KeyListMessage(version: version, keys: keys)
        do {
            try file.write(Frame(.keyList, FrameContext(cluster: cluster()), body: message.body).encode())
        } catch {
            logger.error(
                "the list of API keys cannot be kept on disk: after a restart without the coordinator, an earlier list would be in force",
                metadata: ["error": "\(words(error))"])
        }
        logger.info("created API keys", metadata: ["keys": "\(keys.count)"])
    }

    private func take(_ keys: [CreatedKey], version: UInt64) {
        let created = state.withLock { state in
            let created = CreatedKeys(keys, replacing: state.created)
            state.version = version
            state.created = created
            return created
        }
        use(created)
    }

    /// A coordinator of a release before 0.2 has no created keys. The list that is known stays in force; if there is none, it is empty.
    private func noteOldCoordinator() {
        let (isNews, empty) = state.withLock { state -> (Bool, CreatedKeys?) in
            defer { state.isOldCoordinator = true }
            let empty = state.created == nil ? CreatedKeys() : nil
            state.created = state.created ?? empty
            return (!state.isOldCoordinator, empty)
        }
        if isNews { logger.warning("coordinator is of a release before 0.2 and has no list of created API keys") }
        if let empty { use(empty) }
    }
}
