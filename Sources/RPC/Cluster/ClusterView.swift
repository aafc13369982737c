import FunnelModel
import FunnelProtocol
import Logging
import Synchronization

/// Access to the file in which a service keeps its snapshot across restarts.
package struct SnapshotFile: Sendable {
    /// Nil if there is no file; throws if its contents are not known.
    package var read: @Sendable () throws -> [UInt8]?
    package var write: @Sendable ([UInt8]) throws -> Void

    package init(read: @escaping @Sendable () throws -> [UInt8]?, write: @escaping @Sendable ([UInt8]) throws -> Void) {
        self.read = read
        self.write = write
    }
}

/// A service's copy of the coordinator's metadata: fetched, kept on disk, and valid while the coordinator is down. Within one
/// lineage its revision never goes back.
package final class ClusterView: Sendable {
    private struct State {
        var snapshot: ClusterSnapshot?
        /// Nil until the list has arrived; see `KeyListView`.
        var created: CreatedKeys?
        var keys = KeyRing([])
        /// When the coordinator last answered.
        var heard: ContinuousClock.Instant?
        var waiting: [CheckedContinuation<ClusterSnapshot?, Never>] = []
    }

    private let state = Mutex(State())
    private let file: SnapshotFile
    private let mayBeOpen: Bool
    private let logger: Logger

    /// Reads the file, if there is one.
    /// - Parameter mayBeOpen: whether a snapshot without keys, which admits every caller, may replace one with keys: on loopback only.
    package init(file: SnapshotFile, mayBeOpen: Bool, logger: Logger) {
        self.file = file
        self.mayBeOpen = mayBeOpen
        self.logger = logger
        do {
            guard let bytes = try file.read() else { return }
            let frame = try FrameDecoder.single(bytes)
            guard frame.kind == .snapshot else { throw ProtocolError(.unknownKind, "the file holds \(frame.kind)") }
            take(try decoding("snapshot") { () throws(ByteError) in try ClusterSnapshot(body: frame.body) })
        } catch {
            // Not fatal: the coordinator has it too. Until it answers the service is not ready.
            logger.warning("snapshot file is damaged and not used", metadata: ["error": "\(words(error))"])
        }
    }

    package var snapshot: ClusterSnapshot? { state.withLock { $0.snapshot } }
    package var keys: KeyRing { state.withLock { $0.keys } }
    package var cluster: ClusterState { state.withLock { $0.snapshot?.state ?? ClusterState() } }

    /// How long ago the coordinator answered; nil if it has not answered this process, which then knows only what an earlier one has kept.
    package var sinceHeard: Duration? { state.withLock { $0.heard.map { .now - $0 } } }

    /// The snapshot, as soon as there is one; nil if the task was cancelled first.
    package func ready() async -> ClusterSnapshot? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (now, waits) = state.withLock { state in
                    let waits = state.snapshot == nil && !Task.isCancelled
                    if waits { state.waiting.append(continuation) }
                    return (state.snapshot, waits)
                }
                if !waits { continuation.resume(returning: now) }
            }
        } onCancel: {
            giveUp()
        }
    }

    /// Ends all waits for a first snapshot, without one.
    package func giveUp() {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume(returning: nil) }
    }

    /// How long a coordinator may take to start before a failure is logged.
    private static let patience = Duration.seconds(5)

    /// Follows the coordinator until cancelled. Failures are tried again; a series of them is logged once.
    package func follow(_ coordinator: FrameClient) async {
        let start = ContinuousClock.now
        var isMissed = false
        var failures = 0
        var ask = Ask()
        while !Task.isCancelled {
            do {
                try await fetch(coordinator, &ask)
                if isMissed { logger.notice("coordinator is back") }
                (isMissed, failures) = (false, 0)
            } catch {
                if Task.isCancelled { break }
                let mayBeStarting = sinceHeard == nil && ContinuousClock.now - start < Self.patience
                failures += 1
                // One failure alone is a restart, or both processes are being stopped.
                if !isMissed, !mayBeStarting, failures > 1 {
                    logger.warning("coordinator does not answer; going on with what is known", metadata: ["error": "\(words(error))"])
                    isMissed = true
                }
                try? await Task.sleep(for: .milliseconds(mayBeStarting ? 100 : 1_000))
            }
        }
        giveUp()
    }

    /// State of `follow` about the coordinator.
    private struct Ask {
        /// False for a release before 0.2.
        var knowsLineages = true
        /// Whether the coordinator is behind this process, which was logged.
        var isBehind = false
    }

    /// One long poll: answered at once with something newer, or after a while with what we have. The first is answered at
    /// once, which confirms what an earlier process has kept.
    private func fetch(_ coordinator: FrameClient, _ ask: inout Ask) async throws {
        let current = snapshot
        let known = current?.revision ?? 0
        let wait: UInt32 = sinceHeard == nil ? 0 : 20_000
        let origin = ask.knowsLineages ? SnapshotRequest.Origin(current) : nil
        let body = try await request(SnapshotRequest(known: known, waitMilliseconds: wait, origin: origin), coordinator, &ask)
        let next = try decoding("snapshot") { () throws(ByteError) in try ClusterSnapshot(body: body) }
        if let current, current.map.clusterID != next.map.clusterID {
            throw ProtocolError(
                .foreignCluster,
                "coordinator is of cluster \(idText(next.map.clusterID)), this side of \(idText(current.map.clusterID))")
        }
        let isOfOtherLineage = next.lineage != 0 && next.lineage != current?.lineage
        noteBehind(next, known, isOfOtherLineage, &ask)
        if next.revision > known || isOfOtherLineage { try accept(next, over: current) }
        state.withLock { $0.heard = .now }
    }

    private func request(_ request: SnapshotRequest, _ coordinator: FrameClient, _ ask: inout Ask) async throws -> [UInt8] {
        do throws(ProtocolError) {
            return try await coordinator.call(.snapshot, request.body, timeout: .seconds(30))
        } catch {
            guard error.code == .invalidMessage, request.origin != nil else { throw error }
        }
        ask.knowsLineages = false
        logger.warning("coordinator is of a release before 0.2 and knows no lineages")
        var plain = request
        plain.origin = nil
        return try await coordinator.call(.snapshot, plain.body, timeout: .seconds(30))
    }

    /// Logs that a coordinator is behind, as after a restore: its keys are earlier ones, and keys that were revoked since
    /// would work again. A coordinator of this release raises its revision above ours when it is asked.
    private func noteBehind(_ next: ClusterSnapshot, _ known: UInt64, _ isOfOtherLineage: Bool, _ ask: inout Ask) {
        let isBehind = next.revision < known && !isOfOtherLineage
        if isBehind, !ask.isBehind {
            logger.error(
                "coordinator has an older revision than this process, as after a restore; its keys and addresses are not used",
                metadata: ["revision": "\(known)", "coordinator": "\(next.revision)"])
        }
        ask.isBehind = isBehind
    }

    private func accept(_ next: ClusterSnapshot, over current: ClusterSnapshot?) throws {
        guard mayBeOpen || !next.keys.isEmpty || current == nil else {
            throw ProtocolError(.notAuthenticated, "the coordinator has no keys; off loopback the known keys stay in force")
        }
        try file.write(Frame(.snapshot, FrameContext(cluster: next.map.clusterID), body: next.body).encode())
        take(next)
        logger.info(
            "cluster map",
            metadata: [
                "revision": "\(next.revision)", "lineage": "\(idText(next.lineage))", "epoch": "\(next.map.epoch)",
                "shards": "\(next.map.shards.count)",
            ])
    }

    /// Puts another list of created keys in force. Both kinds of keys are one ring, so that a request takes one lock.
    package func use(_ created: CreatedKeys) {
        state.withLock { state in
            state.created = created
            state.keys = KeyRing(state.snapshot?.keys ?? [], created: created)
        }
    }

    private func take(_ snapshot: ClusterSnapshot) {
        let waiting = state.withLock { state in
            state.snapshot = snapshot
            state.keys = KeyRing(snapshot.keys, created: state.created)
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume(returning: snapshot) }
    }
}
