import EventStorage
import FunnelModel
import FunnelProtocol
import Glibc
import NIOPosix
import Synchronization

/// Group commit: joins the appends that arrive while the disk is busy into one log record with one sync. One thread writes.
package final class GroupAppender: Sendable {
    /// Bytes of unsealed rows above which appends are slowed and refused, if seals don't keep up.
    package struct Pressure: Sendable {
        /// Above this, heavy projects rest after each group, so that their appends slow down to the rate of seals.
        package var slowBytes = 384 << 20
        /// Above this, their appends are refused.
        package var fullBytes = 768 << 20
        /// Above this, all appends are refused.
        package var bytesMax = 1 << 30
        package var restMax = Duration.milliseconds(400)

        package init() {}

        /// How long a heavy project rests after a group.
        package func rest(memtableBytes: Int) -> Duration {
            let part = Double(memtableBytes - slowBytes) / Double(bytesMax - slowBytes)
            return part <= 0 ? .zero : restMax * min(1, part * part)
        }
    }

    private struct Waiting {
        var request: AppendRequest
        var done: CheckedContinuation<Result<AppendResult, ProtocolError>, Never>
    }

    private struct State {
        var turns = AppendTurns<Waiting>(bytesMax: queueBytes, groupBytes: groupBytes)
        var isWriting = false
        /// When the sleeping task goes on; nil if there is none.
        var wakes: ContinuousClock.Instant?
        /// Bytes of unsealed rows, as last noted.
        var memtableBytes = 0
    }

    /// Bytes of one log record, roughly, and max bytes of all waiting appends.
    private static let groupBytes = 8 << 20
    private static let queueBytes = 128 << 20

    private let store: ShardStore<POSIXFileSystem>
    private let thread: NIOThreadPool
    private let state = Mutex(State())
    private let pressure: Pressure
    private let now: @Sendable () -> ContinuousClock.Instant
    private let sleep: @Sendable (ContinuousClock.Instant) async -> Void
    private let onFailure: @Sendable (StoreError) -> Void

    /// Makes an appender that writes on `thread`.
    /// - Parameters:
    ///   - sleep: returns at the instant.
    ///   - onFailure: called if the disk fails. Acknowledged appends are safe, but this process must end.
    package init(
        _ store: ShardStore<POSIXFileSystem>, thread: NIOThreadPool, pressure: Pressure = Pressure(),
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        sleep: @escaping @Sendable (ContinuousClock.Instant) async -> Void = { try? await Task.sleep(until: $0, clock: .continuous) },
        onFailure: @escaping @Sendable (StoreError) -> Void
    ) {
        self.store = store
        self.thread = thread
        self.pressure = pressure
        self.now = now
        self.sleep = sleep
        self.onFailure = onFailure
    }

    /// Bytes and rows of appends that wait for the disk.
    package var queued: (bytes: Int, rows: Int) { state.withLock { ($0.turns.bytes, $0.turns.rows) } }

    /// Returns once the rows are durable.
    package func append(_ request: AppendRequest, bytes: Int) async throws(ProtocolError) -> AppendResult {
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

    /// Notes the bytes of unsealed rows; called now and then.
    package func note(memtableBytes: Int) { state.withLock { $0.memtableBytes = memtableBytes } }

    private func isFull(for project: UInt32) -> Bool {
        let bytes = state.withLock { $0.memtableBytes }
        if bytes <= pressure.fullBytes { return false }
        return bytes > pressure.bytesMax || store.memory(of: project).isMuch
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

    /// Lets the heavy ones of these projects rest, if memory fills faster than seals empty it.
    private func slowDown(_ projects: [UInt32]) {
        let bytes = store.stats.memtableBytes
        note(memtableBytes: bytes)
        let rest = pressure.rest(memtableBytes: bytes)
        if rest == .zero { return }
        let heavy = projects.filter { store.memory(of: $0).isMuch }
        state.withLock { state in
            for project in heavy { state.turns.rest(project, until: now() + rest) }
        }
    }

    /// The next group; nil if the thread should end. If all projects with appends rest, the thread is restarted when one may go on.
    private func next() -> (group: [Waiting], projects: [UInt32])? {
        let next = state.withLock { state in
            let next = state.turns.next(now())
            if case .group = next { return next }
            state.isWriting = false
            return next
        }
        switch next {
        case .group(let group, let projects): return (group, projects)
        case .nothing: return nil
        case .rest(let end):
            goOn(at: end)
            return nil
        }
    }

    private func goOn(at end: ContinuousClock.Instant) {
        let isNeeded = state.withLock { state in
            if let wakes = state.wakes, wakes <= end { return false }
            state.wakes = end
            return true
        }
        guard isNeeded else { return }
        Task {
            await sleep(end)
            state.withLock { if $0.wakes == end { $0.wakes = nil } }
            goOn()
        }
    }

    private func goOn() {
        let isFirst = state.withLock { state in
            defer { state.isWriting = true }
            return !state.isWriting
        }
        if isFirst { thread.submit { _ in self.drain() } }
    }

    /// The error of the protocol for an error of the store.
    package static func translate(_ error: StoreError) -> ProtocolError {
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
