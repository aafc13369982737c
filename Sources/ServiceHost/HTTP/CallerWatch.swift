import Hummingbird
import NIOCore
import NIOHTTPTypes

/// Detects that the peer has closed the connection, or its half of it: then nobody reads an answer.
final class CallerWatch: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart

    private var isGone = false
    private var nextNumber = 0
    private var actions: [Int: @Sendable () -> Void] = [:]

    /// Registers an action; to be called on the event loop.
    /// - Parameter action: called once, when the caller has gone or at once if it already has.
    /// - Returns: a number for `remove`.
    func add(_ action: @escaping @Sendable () -> Void) -> Int {
        nextNumber += 1
        if isGone { action() } else { actions[nextNumber] = action }
        return nextNumber
    }

    /// Removes an action; to be called on the event loop.
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
    /// Runs `body`, and cancels it when the caller closes the connection.
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
