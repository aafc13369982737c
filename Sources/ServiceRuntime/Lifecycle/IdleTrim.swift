import CShims
import ServiceLifecycle

/// Gives memory back that the allocator keeps after a burst of work, once there is none.
package struct IdleTrim: Service {
    private static let pause = Duration.seconds(20)
    /// Less than this is not worth the locks that are held meanwhile.
    private static let growth = 8 << 20

    private let isBusy: @Sendable () -> Bool

    /// - Parameter isBusy: whether requests are under way that would wait.
    package init(isBusy: @escaping @Sendable () -> Bool) { self.isBusy = isBusy }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var least = ProcessMetrics.residentBytes() ?? 0
            while (try? await Task.sleep(for: Self.pause)) != nil {
                guard let resident = ProcessMetrics.residentBytes() else { return }
                least = min(least, resident)
                guard resident - least > Self.growth, !isBusy() else { continue }
                sluice_trim_memory()
                // What is left is in use: the next growth counts from here.
                least = ProcessMetrics.residentBytes() ?? resident
            }
        }
        try? await gracefulShutdown()
    }
}
