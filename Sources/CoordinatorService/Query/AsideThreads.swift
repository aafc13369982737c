import NIOPosix

/// Threads for work on answers that takes long: to read, add up and lay out hundreds of thousands of values. Done where all
/// calls are, it would hold up those of others.
final class AsideThreads: Sendable {
    /// An answer of no more bytes is read at once.
    static let shortBytes = 256 << 10
    private let pool = NIOThreadPool(numberOfThreads: 2)

    init() { pool.start() }

    func shutdown() async { try? await pool.shutdownGracefully() }

    func run<T: Sendable>(isLong: Bool, _ body: @escaping @Sendable () throws -> T) async throws -> T {
        isLong ? try await pool.runIfActive(body) : try body()
    }
}
