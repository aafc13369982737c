import FunnelModel
import FunnelProtocol
import Logging
import Synchronization

/// Where a service keeps a small file that must survive.
package struct SnapshotFile: Sendable {
    package var read: @Sendable () -> [UInt8]?
    package var write: @Sendable ([UInt8]) throws -> Void

    package init(read: @escaping @Sendable () -> [UInt8]?, write: @escaping @Sendable ([UInt8]) throws -> Void) {
        self.read = read
        self.write = write
    }
}

/// A service's copy of the coordinator's metadata: fetched, kept on disk, and good while the coordinator is away.
/// Its revision never goes back.
package final class ClusterView: Sendable {
    private struct State {
        var snapshot: ClusterSnapshot?
        var keys = KeyRing([])
        var waiting: [CheckedContinuation<ClusterSnapshot?, Never>] = []
    }

    private let state = Mutex(State())
    private let file: SnapshotFile
    private let mayBeOpen: Bool
    private let logger: Logger

    /// - Parameter mayBeOpen: a snapshot without keys, which lets everybody in, may be taken: on loopback only.
    package init(file: SnapshotFile, mayBeOpen: Bool, logger: Logger) {
        self.file = file
        self.mayBeOpen = mayBeOpen
        self.logger = logger
        guard let bytes = file.read() else { return }
        do {
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
    package var cluster: (id: UInt64, epoch: UInt32) {
        state.withLock { ($0.snapshot?.map.clusterID ?? 0, $0.snapshot?.map.epoch ?? 0) }
    }

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

    /// Lets whoever waits for a first snapshot go, without one.
    package func giveUp() {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume(returning: nil) }
    }

    /// Follows the coordinator until cancelled; failures are logged once each and tried again.
    package func follow(_ coordinator: FrameClient) async {
        var troubled = false
        while !Task.isCancelled {
            do {
                try await fetch(coordinator)
                if troubled { logger.notice("coordinator is back") }
                troubled = false
            } catch {
                if Task.isCancelled { break }
                if !troubled {
                    logger.warning("coordinator does not answer; going on with what is known", metadata: ["error": "\(words(error))"])
                }
                troubled = true
                try? await Task.sleep(for: .milliseconds(snapshot == nil ? 100 : 1_000))
            }
        }
        giveUp()
    }

    /// One long poll: answered at once with something newer, or after a while with what we have.
    private func fetch(_ coordinator: FrameClient) async throws {
        let known = snapshot?.revision ?? 0
        let request = SnapshotRequest(known: known, waitMilliseconds: known == 0 ? 0 : 20_000)
        let body = try await coordinator.call(.snapshot, request.body, timeout: .seconds(30))
        let next = try decoding("snapshot") { () throws(ByteError) in try ClusterSnapshot(body: body) }
        guard next.revision > known else { return }
        if let current = snapshot, current.map.clusterID != next.map.clusterID {
            throw ProtocolError(.foreignCluster, "coordinator is of cluster \(next.map.clusterID), we are of \(current.map.clusterID)")
        }
        guard mayBeOpen || !next.keys.isEmpty || snapshot == nil else {
            throw ProtocolError(.notAuthenticated, "the coordinator has no keys any more; off loopback the ones known stay")
        }
        try file.write(Frame(.snapshot, FrameContext(cluster: next.map.clusterID), body: body).encoded)
        take(next)
        logger.info("cluster map", metadata: ["revision": "\(next.revision)", "epoch": "\(next.map.epoch)", "shards": "\(next.map.shards.count)"])
    }

    private func take(_ snapshot: ClusterSnapshot) {
        let waiting = state.withLock { state in
            state.snapshot = snapshot
            state.keys = KeyRing(snapshot.keys)
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume(returning: snapshot) }
    }
}
