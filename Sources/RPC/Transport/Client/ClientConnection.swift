import HTTP2
import NIOCore
import Synchronization

/// One connection to a server, shared by any number of calls.
package final class ClientConnection: Sendable {
    let mailbox: TransportMailbox<ClientOperation>
    let channel: any Channel
    /// Fulfilled when the server has proved that it speaks HTTP/2, failed if it never does.
    let ready: EventLoopFuture<Void>
    /// Calls running.
    let load = Atomic<Int>(0)
    private struct State {
        var isUsable = true
        var onUnusable: (@Sendable () -> Void)?
        var certificateNames: [String]?
    }
    private let state = Mutex(State())

    init(channel: any Channel, mailbox: TransportMailbox<ClientOperation>, ready: EventLoopFuture<Void>) {
        self.channel = channel
        self.mailbox = mailbox
        self.ready = ready
    }

    /// Makes one call; returns with the response's head. Cancelling the task, or the timeout, resets the stream.
    package func call(
        path: String, authorization: String?, body: ByteBuffer, timeout: Duration
    ) async throws -> ClientResponse {
        try await call(path: path, authorization: authorization, trace: nil, body: body, deadline: .after(timeout))
    }

    func call(
        path: String, authorization: String?, trace: String?, body: ByteBuffer, deadline: NIODeadline
    ) async throws -> ClientResponse {
        let stream = ClientStream(
            path: path, authorization: authorization, trace: trace, body: body, deadline: deadline, mailbox: mailbox)
        load.add(1, ordering: .relaxed)
        guard mailbox.post(.open(stream)) else {
            load.subtract(1, ordering: .relaxed)
            throw TransportError(.refused, "connection closed")
        }
        let head = try await stream.head()
        return ClientResponse(status: head.status, contentType: head.contentType, time: head.time, stream: stream)
    }

    /// The DNS names of the server's certificate, where certificates must name the roles of services; otherwise nil.
    var certificateNames: [String]? { state.withLock { $0.certificateNames } }

    func setCertificateNames(_ names: [String]) { state.withLock { $0.certificateNames = names } }

    var isUsable: Bool { state.withLock { $0.isUsable } }

    /// Calls `action` once, maybe at once, when no new calls can be made here.
    func whenUnusable(_ action: @escaping @Sendable () -> Void) {
        let isLate = state.withLock { state in
            if state.isUsable { state.onUnusable = action }
            return !state.isUsable
        }
        if isLate { action() }
    }

    func becomeUnusable() {
        let action = state.withLock { state in
            state.isUsable = false
            defer { state.onUnusable = nil }
            return state.onUnusable
        }
        action?()
    }
}
