import Logging
import NIOCore
import Synchronization

/// Runs the calls of a server.
package protocol CallHandler: Sendable {
    /// Looks at a request's head before any of its body is taken. Called on the connection's event loop: must not wait.
    func check(_ head: CallHead, on connection: ServerConnection) -> HeadVerdict
    /// Answers one call. If it returns without `finish`, the stream is reset with INTERNAL_ERROR.
    func handle(_ call: ServerCall) async
}

extension CallHandler {
    package func check(_ head: CallHead, on connection: ServerConnection) -> HeadVerdict { .take(bodyMax: .max) }
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
    /// Connections closed since the start to make room for others.
    package var displaced: Int
    /// Request bytes held, complete or not.
    package var bodyBytes: Int
}

/// What all connections of one server share.
final class ServerShared: Sendable {
    private struct Registry {
        var channels: [UInt64: (channel: any Channel, mailbox: TransportMailbox<ServerOperation>)] = [:]
        /// Request bytes of each address that has connections, and how many those are.
        var addresses: [String: (bodies: BodyBudget.Account, connections: Int)] = [:]
        var lastID: UInt64 = 0
        var running = 0
        var drained: [CheckedContinuation<Void, Never>] = []
    }

    let limits: TransportLimits
    let logger: Logger
    let handler: any CallHandler
    let callsTotal = Atomic<Int>(0)
    let refusals = Refusals<WireRefusal>()
    let bodies: BodyBudget
    let unprovenBodies: BodyBudget.Account
    let answers = AnswerBudget()
    let places: ConnectionPlaces
    private let registry = Mutex(Registry())

    init(limits: TransportLimits, logger: Logger, handler: any CallHandler) {
        self.limits = limits
        self.logger = logger
        self.handler = handler
        bodies = BodyBudget(bytes: limits.maxGlobalBodyBytes)
        unprovenBodies = BodyBudget.Account(most: limits.unprovenBodyBytes)
        places = ConnectionPlaces(
            .init(most: limits.maxConnections, perAddress: limits.maxConnectionsPerAddress, reserved: limits.reservedConnections))
    }

    var stats: TransportServerStats {
        let (connections, running) = registry.withLock { ($0.channels.count, $0.running) }
        return TransportServerStats(
            connections: connections,
            callsRunning: running,
            callsTotal: callsTotal.load(ordering: .relaxed),
            refused: refusals.total,
            displaced: places.displaced,
            bodyBytes: bodies.bytes
        )
    }

    /// What belongs to a connection that has a place.
    struct Admitted {
        var id: UInt64
        /// Accounts of its bodies for as long as its peer has proven no role.
        var bodies: [BodyBudget.Account]
    }

    func register(_ channel: any Channel, _ address: String, mailbox: TransportMailbox<ServerOperation>) -> Admitted {
        registry.withLock { registry in
            registry.lastID += 1
            registry.channels[registry.lastID] = (channel, mailbox)
            var entry = registry.addresses[address] ?? (BodyBudget.Account(most: limits.bodyBytesPerAddress), 0)
            entry.connections += 1
            registry.addresses[address] = entry
            let own = BodyBudget.Account(most: limits.bodyBytesPerConnection)
            return Admitted(id: registry.lastID, bodies: [own, entry.bodies, unprovenBodies])
        }
    }

    func forget(_ id: UInt64, _ address: String) {
        registry.withLock { registry in
            registry.channels[id] = nil
            guard let entry = registry.addresses[address] else { return }
            registry.addresses[address] = entry.connections > 1 ? (entry.bodies, entry.connections - 1) : nil
        }
    }

    /// Starts a call in a task of its own; the task is known to the call, and counted here until it returns.
    func run(_ call: ServerCall) {
        callsTotal.add(1, ordering: .relaxed)
        registry.withLock { $0.running += 1 }
        call.run(
            Task {
                await handler.handle(call)
                call.handlerReturned()
                ended()
            }
        )
    }

    /// Admits no more connections, and returns the channels still open.
    func beginDraining() -> [any Channel] {
        places.shut()
        let open = registry.withLock { Array($0.channels.values) }
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

    /// Resumes waiters although handlers still run.
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
