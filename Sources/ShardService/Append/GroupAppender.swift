import FunnelModel
import FunnelProtocol
import FunnelStorage
import Glibc
import NIOPosix
import Synchronization

/// Gathers appends that arrive while the disk is busy into one log record, one sync (group commit). One thread writes.
final class GroupAppender: Sendable {
    private struct Waiting {
        var request: AppendRequest
        var bytes: Int
        var done: CheckedContinuation<Result<AppendResult, ProtocolError>, Never>
    }

    private struct Queue {
        var waiting: [Waiting] = []
        var bytes = 0
        var rows = 0
        var writing = false
        /// Bytes that wait for a seal.
        var memtableBytes = 0
    }

    /// Bytes of one log record, roughly, and of all that wait.
    private static let groupBytes = 8 << 20
    private static let queueBytes = 128 << 20
    /// Where seals don't keep up: from here on each group waits longer, so that appends fall to the rate of seals, and
    /// from there on they are refused.
    private static let memtableBytesSlow = 384 << 20
    private static let memtableBytesMax = 1 << 30
    private static let pauseMax = 0.4

    private let store: ShardStore<POSIXFileSystem>
    private let thread: NIOThreadPool
    private let queue = Mutex(Queue())
    private let onFailure: @Sendable (StoreError) -> Void

    /// - Parameter onFailure: the disk failed; what is acknowledged is safe, but this process must not go on.
    init(
        _ store: ShardStore<POSIXFileSystem>, thread: NIOThreadPool, onFailure: @escaping @Sendable (StoreError) -> Void
    ) {
        self.store = store
        self.thread = thread
        self.onFailure = onFailure
    }

    /// What waits for the disk.
    var queued: (bytes: Int, rows: Int) { queue.withLock { ($0.bytes, $0.rows) } }

    /// Returns once the rows are durable.
    func append(_ request: AppendRequest, bytes: Int) async throws(ProtocolError) -> AppendResult {
        let result: Result<AppendResult, ProtocolError> = await withCheckedContinuation { continuation in
            let entry = Waiting(request: request, bytes: bytes, done: continuation)
            let decision = queue.withLock { queue -> (refuse: Bool, start: Bool) in
                if queue.bytes + bytes > Self.queueBytes, queue.bytes > 0 { return (true, false) }
                if queue.memtableBytes > Self.memtableBytesMax { return (true, false) }
                queue.waiting.append(entry)
                queue.bytes += bytes
                queue.rows += request.batch.count
                defer { queue.writing = true }
                return (false, !queue.writing)
            }
            if decision.refuse {
                continuation.resume(returning: .failure(ProtocolError(.overloaded, "the shard's append queue or its memory is full; nothing was stored")))
            } else if decision.start {
                thread.submit { _ in self.drain() }
            }
        }
        return try result.get()
    }

    /// Called now and then, with the bytes that are in memory.
    func note(memtableBytes: Int) { queue.withLock { $0.memtableBytes = memtableBytes } }

    /// Seconds to wait before the next group.
    static func pause(memtableBytes: Int) -> Double {
        let part = Double(memtableBytes - memtableBytesSlow) / Double(memtableBytesMax - memtableBytesSlow)
        return part <= 0 ? 0 : min(1, part * part) * pauseMax
    }

    private func drain() {
        while let group = next() {
            let memtableBytes = store.stats.memtableBytes
            note(memtableBytes: memtableBytes)
            let pause = Self.pause(memtableBytes: memtableBytes)
            if pause > 0 { usleep(UInt32(pause * 1e6)) }
            do {
                let results = try store.append(group.map(\.request))
                for (entry, result) in zip(group, results) {
                    entry.done.resume(returning: result.mapError(Self.translate))
                }
            } catch {
                for entry in group { entry.done.resume(returning: .failure(Self.translate(error))) }
                if error.code == .poisoned || error.code == .io { onFailure(error) }
            }
        }
    }

    private func next() -> [Waiting]? {
        queue.withLock { queue in
            var group: [Waiting] = []
            var bytes = 0
            while group.count < queue.waiting.count {
                let entry = queue.waiting[group.count]
                if !group.isEmpty, bytes + entry.bytes > Self.groupBytes { break }
                group.append(entry)
                bytes += entry.bytes
            }
            queue.waiting.removeFirst(group.count)
            queue.bytes -= bytes
            queue.rows -= group.reduce(0) { $0 + $1.request.batch.count }
            queue.writing = !group.isEmpty
            return group.isEmpty ? nil : group
        }
    }

    static func translate(_ error: StoreError) -> ProtocolError {
        switch error.code {
        case .noSpace: return ProtocolError(.storageFull, error.message)
        case .sequenceExpired: return ProtocolError(.sequenceExpired, error.message)
        case .overloaded: return ProtocolError(.overloaded, error.message)
        case .sequenceReused: return ProtocolError(.sequenceReused, error.message)
        case .tooLarge: return ProtocolError(.tooLarge, error.message)
        case .invalid: return ProtocolError(.invalidMessage, error.message)
        case .cancelled: return ProtocolError(.cancelled, error.message)
        default: return ProtocolError(.storageFailed, error.description)
        }
    }
}
