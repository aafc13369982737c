import Logging
import NIOCore
import Synchronization

/// Runs the calls of a server.
package protocol CallHandler: Sendable {
    /// Answers one call. If it returns without `finish`, the stream is reset with INTERNAL_ERROR.
    func handle(_ call: ServerCall) async
}

/// Counters of a server at one moment.
package struct TransportServerStats: Sendable, Hashable {
    /// Open connections.
    package var connections: Int
    /// Handlers running.
    package var callsRunning: Int
    /// Calls given to the handler since the start.
    package var callsTotal: Int
    /// Connections and streams turned away since the start.
    package var refused: Int
    /// Request bytes held, complete or not.
    package var bodyBytes: Int
}

/// What all connections of one server share.
final class ServerShared: Sendable {
    private struct Registry {
        var channels: [UInt64: (channel: any Channel, mailbox: TransportMailbox<ServerOperation>)] = [:]
        var lastID: UInt64 = 0
        var isDraining = false
        var running = 0
        var drained: [CheckedContinuation<Void, Never>] = []
    }

    let limits: TransportLimits
    let logger: Logger
    let handler: any CallHandler
    let callsTotal = Atomic<Int>(0)
    let refused = Atomic<Int>(0)
    let bodyBytes = Atomic<Int>(0)
    private let registry = Mutex(Registry())

    init(limits: TransportLimits, logger: Logger, handler: any CallHandler) {
        self.limits = limits
        self.logger = logger
        self.handler = handler
    }

    var stats: TransportServerStats {
        let (connections, running) = registry.withLock { ($0.channels.count, $0.running) }
        return TransportServerStats(
            connections: connections,
            callsRunning: running,
            callsTotal: callsTotal.load(ordering: .relaxed),
            refused: refused.load(ordering: .relaxed),
            bodyBytes: bodyBytes.load(ordering: .relaxed)
        )
    }

    /// A number for a new connection, or nil if there is no room.
    func admit(_ channel: any Channel, mailbox: TransportMailbox<ServerOperation>) -> UInt64? {
        let id = registry.withLock { registry -> UInt64? in
            guard !registry.isDraining, registry.channels.count < limits.maxConnections else { return nil }
            registry.lastID += 1
            registry.channels[registry.lastID] = (channel, mailbox)
            return registry.lastID
        }
        if id == nil { countRefused() }
        return id
    }

    func forget(_ id: UInt64) {
        registry.withLock { _ = $0.channels.removeValue(forKey: id) }
    }

    /// Starts a call in a task of its own; the task is known to the call, and counted here until it returns.
    func run(_ call: ServerCall) {
        callsTotal.add(1, ordering: .relaxed)
        registry.withLock { $0.running += 1 }
        call.run(
            Task {
                await handler.handle(call)
                if !call.handlerReturned() { release(call.body.readableBytes) }
                ended()
            }
        )
    }

    func countRefused() {
        refused.add(1, ordering: .relaxed)
    }

    func hold(_ bytes: Int) {
        bodyBytes.add(bytes, ordering: .relaxed)
    }

    func release(_ bytes: Int) {
        bodyBytes.subtract(bytes, ordering: .relaxed)
    }

    /// Admits nobody any more and returns the channels still open.
    func beginDraining() -> [any Channel] {
        let open = registry.withLock { registry in
            registry.isDraining = true
            return Array(registry.channels.values)
        }
        for (_, mailbox) in open { mailbox.post(.shutdown) }
        return open.map(\.channel)
    }

    /// Returns when no handler runs.
    func waitForHandlers() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isIdle = registry.withLock { registry in
                if registry.running > 0 { registry.drained.append(continuation) }
                return registry.running == 0
            }
            if isIdle { continuation.resume() }
        }
    }

    /// Lets waiters go although handlers still run.
    func stopWaiting() {
        let waiters = registry.withLock { registry in
            defer { registry.drained = [] }
            return registry.drained
        }
        for waiter in waiters { waiter.resume() }
    }

    private func ended() {
        let isIdle = registry.withLock { registry in
            registry.running -= 1
            return registry.running == 0
        }
        if isIdle { stopWaiting() }
    }
}
