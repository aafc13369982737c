import FunnelProtocol
import FunnelRPC
import NIOPosix
import Synchronization

/// Threads for scans, off the event loops, with a bounded queue in front.
final class QueryWorkers: Sendable {
    private let pool: NIOThreadPool
    private let admitted = Mutex(0)
    private let admittedMax: Int

    init(threads: Int, queued: Int) {
        pool = NIOThreadPool(numberOfThreads: threads)
        admittedMax = threads + queued
        pool.start()
    }

    var running: Int { admitted.withLock { $0 } }

    func shutdown() async { try? await pool.shutdownGracefully() }

    /// Runs `work` on a scan thread; it must poll the call's cancellation.
    func run<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
        let admittedNow = admitted.withLock { count -> Bool in
            if count >= admittedMax { return false }
            count += 1
            return true
        }
        guard admittedNow else { throw ProtocolError(.overloaded, "\(admittedMax) queries are running or queued on this shard") }
        defer { admitted.withLock { $0 -= 1 } }
        return try await pool.runIfActive(work)
    }
}
