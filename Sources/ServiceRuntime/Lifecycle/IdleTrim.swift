import CShims
import ServiceLifecycle

/// Returns freed memory from the allocator to the system after a burst of work, when the process is idle.
package struct IdleTrim: Service {
    private static let pause = Duration.seconds(20)
    /// Growth in bytes below which a trim is not worth the allocator's locks.
    private static let growth = 8 << 20

    private let isBusy: @Sendable () -> Bool

    /// `isBusy` returns whether requests are running, which a trim would delay.
    package init(isBusy: @escaping @Sendable () -> Bool) { self.isBusy = isBusy }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var least = ProcessMetrics.residentBytes() ?? 0
            while (try? await Task.sleep(for: Self.pause)) != nil {
                guard let resident = ProcessMetrics.residentBytes() else { return }
                least = min(least, resident)
                guard resident - least > Self.growth, !isBusy() else { continue }
                sluice_trim_memory()
                // The rest is in use, so the next growth is measured from here.
                least = ProcessMetrics.residentBytes() ?? resident
            }
        }
        try? await gracefulShutdown()
    }
}
