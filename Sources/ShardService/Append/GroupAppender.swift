import EventStorage
import FunnelModel
import FunnelProtocol
import Glibc
import NIOPosix
import Synchronization

/// Gathers appends that arrive while the disk is busy into one log record, one sync (group commit). One thread writes.
final class GroupAppender: Sendable {
    private struct Waiting {
        var request: AppendRequest
        var done: CheckedContinuation<Result<AppendResult, ProtocolError>, Never>
    }

    private struct State {
        var turns = AppendTurns<Waiting>(bytesMax: queueBytes, groupBytes: groupBytes)
        var isWriting = false
        /// Bytes that wait for a seal.
        var memtableBytes = 0
    }

    /// Bytes of one log record, roughly, and of all that wait.
    private static let groupBytes = 8 << 20
    private static let queueBytes = 128 << 20
    /// Where seals don't keep up: from here on the projects that hold most rest after each group, so that their appends
    /// fall to the rate of seals, from there on theirs are refused, and at last all are.
    private static let memtableBytesSlow = 384 << 20
    private static let memtableBytesFull = 768 << 20
    private static let memtableBytesMax = 1 << 30
    private static let restMax = Duration.milliseconds(400)

    private let store: ShardStore<POSIXFileSystem>
    private let thread: NIOThreadPool
    private let state = Mutex(State())
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
    var queued: (bytes: Int, rows: Int) { state.withLock { ($0.turns.bytes, $0.turns.rows) } }

    /// Returns once the rows are durable.
    func append(_ request: AppendRequest, bytes: Int) async throws(ProtocolError) -> AppendResult {
        let result: Result<AppendResult, ProtocolError> = await withCheckedContinuation { continuation in
            let isFull = isFull(for: request.project)
            let (isTaken, isFirst) = state.withLock { state -> (Bool, Bool) in
                let entry = Waiting(request: request, done: continuation)
                guard !isFull, state.turns.enter(entry, project: request.project, bytes: bytes, rows: request.batch.count) else {
                    return (false, false)
                }
                defer { state.isWriting = true }
                return (true, !state.isWriting)
            }
            if !isTaken {
                continuation.resume(
                    returning: .failure(ProtocolError(.overloaded, "the shard's append queue or its memory is full; nothing was stored")))
            } else if isFirst {
                thread.submit { _ in self.drain() }
            }
        }
        return try result.get()
    }

    /// Called now and then, with the bytes that are in memory.
    func note(memtableBytes: Int) { state.withLock { $0.memtableBytes = memtableBytes } }

    /// How long a project that holds much of the memory rests after a group.
    static func rest(memtableBytes: Int) -> Duration {
        let part = Double(memtableBytes - memtableBytesSlow) / Double(memtableBytesMax - memtableBytesSlow)
        return part <= 0 ? .zero : restMax * min(1, part * part)
    }

    private func isFull(for project: UInt32) -> Bool {
        let bytes = state.withLock { $0.memtableBytes }
        if bytes <= Self.memtableBytesFull { return false }
        return bytes > Self.memtableBytesMax || store.memory(of: project).isMuch
    }

    private func drain() {
        while let (group, projects) = next() {
            do {
                let results = try store.append(group.map(\.request))
                for (entry, result) in zip(group, results) {
                    entry.done.resume(returning: result.mapError(Self.translate))
                }
            } catch {
                for entry in group { entry.done.resume(returning: .failure(Self.translate(error))) }
                if error.code == .poisoned || error.code == .io { onFailure(error) }
            }
            slowDown(projects)
        }
    }

    /// Makes those of the projects rest that hold much where memory fills faster than seals empty it.
    private func slowDown(_ projects: [UInt32]) {
        let bytes = store.stats.memtableBytes
        note(memtableBytes: bytes)
        let rest = Self.rest(memtableBytes: bytes)
        if rest == .zero { return }
        let heavy = projects.filter { store.memory(of: $0).isMuch }
        state.withLock { state in
            for project in heavy { state.turns.rest(project, until: .now + rest) }
        }
    }

    /// What is written next; nil where the thread is to end. Where all that wait rest, it is begun again when one may go on.
    private func next() -> (group: [Waiting], projects: [UInt32])? {
        let next = state.withLock { state in
            let next = state.turns.next(.now)
            if case .group = next { return next }
            state.isWriting = false
            return next
        }
        switch next {
        case .group(let group, let projects): return (group, projects)
        case .nothing: return nil
        case .rest(let end):
            Task {
                try? await Task.sleep(until: end, clock: .continuous)
                goOn()
            }
            return nil
        }
    }

    private func goOn() {
        let isFirst = state.withLock { state in
            defer { state.isWriting = true }
            return !state.isWriting
        }
        if isFirst { thread.submit { _ in self.drain() } }
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
