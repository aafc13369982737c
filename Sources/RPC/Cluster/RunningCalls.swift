import FunnelProtocol
import Synchronization

/// Running calls, which can all be cancelled at once.
final class RunningCalls: Sendable {
    private let tasks = Mutex<(last: UInt64, cancel: [UInt64: @Sendable () -> Void])>((0, [:]))

    /// Runs a call; it ends with `cancelled` when the caller's task is cancelled, or all calls are.
    func run<T: Sendable>(_ call: @escaping @Sendable () async throws(ProtocolError) -> T) async throws(ProtocolError) -> T {
        let task = Task { () async -> Result<T, ProtocolError> in
            do throws(ProtocolError) { return .success(try await call()) } catch { return .failure(error) }
        }
        let number = tasks.withLock { tasks in
            tasks.last += 1
            tasks.cancel[tasks.last] = { task.cancel() }
            return tasks.last
        }
        defer { tasks.withLock { $0.cancel[number] = nil } }
        let result = await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
        return try result.get()
    }

    func cancelAll() {
        for cancel in tasks.withLock({ Array($0.cancel.values) }) { cancel() }
    }
}
