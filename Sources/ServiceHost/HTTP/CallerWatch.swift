import Hummingbird
import NIOCore
import NIOHTTPTypes

/// Notices that the peer of a connection has closed it, or its half: nobody reads an answer then.
final class CallerWatch: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart

    private var isGone = false
    private var nextNumber = 0
    private var actions: [Int: @Sendable () -> Void] = [:]

    /// On the event loop.
    /// - Parameter action: called once the caller is gone, at once where it is so already.
    /// - Returns: a number by which to take it back.
    func add(_ action: @escaping @Sendable () -> Void) -> Int {
        nextNumber += 1
        if isGone { action() } else { actions[nextNumber] = action }
        return nextNumber
    }

    /// On the event loop.
    func remove(_ number: Int) { actions[number] = nil }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { callerIsGone() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        callerIsGone()
        context.fireChannelInactive()
    }

    private func callerIsGone() {
        isGone = true
        let all = actions.values
        actions = [:]
        for action in all { action() }
    }
}

extension ServiceContext {
    /// Runs `body`, and cancels it once the caller has closed the connection.
    package func whileCallerWaits<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
        let task = Task { try await body() }
        let channel = channel
        let number = try? await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.handler(type: CallerWatch.self).add { task.cancel() }
        }.get()
        defer {
            if let number {
                channel.eventLoop.execute { try? channel.pipeline.syncOperations.handler(type: CallerWatch.self).remove(number) }
            }
        }
        return try await withTaskCancellationHandler {
            try await task.value
        } onCancel: {
            task.cancel()
        }
    }
}
