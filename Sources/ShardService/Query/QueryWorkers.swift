import FunnelProtocol
import FunnelRPC
import NIOPosix
import Synchronization

/// Threads for scans, off the event loops, with a bounded queue in front.
final class QueryWorkers: Sendable {
    private let pool: NIOThreadPool
    private let admitted = Mutex(0)
    private let admittedMax: Int
    private let threads: Int

    init(threads: Int, queued: Int) {
        pool = NIOThreadPool(numberOfThreads: threads)
        admittedMax = threads + queued
        self.threads = threads
        pool.start()
    }

    var running: Int { admitted.withLock { $0 } }

    func shutdown() async { try? await pool.shutdownGracefully() }

    /// Runs `work`, which takes what is left to do until nothing is, on as many scan threads as have something to do.
    /// It must poll the call's cancellation.
    /// - Parameter parts: pieces of work there are.
    func run<T: Sendable>(parts: Int, _ work: @escaping @Sendable () throws -> T) async throws -> [T] {
        let admittedNow = admitted.withLock { count -> Bool in
            if count >= admittedMax { return false }
            count += 1
            return true
        }
        guard admittedNow else { throw ProtocolError(.overloaded, "\(admittedMax) queries are running or queued on this shard") }
        defer { admitted.withLock { $0 -= 1 } }
        // A part by itself is not worth a second thread.
        let count = max(1, min(threads, parts / 4))
        if count == 1 { return [try await pool.runIfActive(work)] }
        return try await withThrowingTaskGroup(of: T.self) { group in
            for _ in 0..<count { group.addTask { try await self.pool.runIfActive(work) } }
            var results: [T] = []
            for try await result in group { results.append(result) }
            return results
        }
    }
}
