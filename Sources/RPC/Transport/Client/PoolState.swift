import NIOCore

/// The pool's decisions, as a value: which connection, when to make another, when to give up.
struct PoolState<Connection: AnyObject, Waiter> {
    /// What a call should do.
    enum Choice {
        case use(Connection)
        case wait
        case fail(TransportError)
    }

    private static var backoffFirst: TimeAmount { .milliseconds(50) }
    private static var backoffMax: TimeAmount { .seconds(2) }

    private let size: Int
    private(set) var ready: [Connection] = []
    private(set) var connecting = 0
    private(set) var isShutDown = false
    private var backoff: TimeAmount = .nanoseconds(0)
    private var nextAttempt = NIODeadline.distantPast
    private var lastFailure = "never connected"
    private var waiters: [UInt64: Waiter] = [:]

    init(size: Int) {
        self.size = max(1, size)
    }

    /// Chooses for one call; `load` counts the calls on a connection. If `connect` comes back true, the caller starts
    /// an attempt and reports its end.
    mutating func choose(now: NIODeadline, load: (Connection) -> Int) -> (choice: Choice, connect: Bool) {
        if isShutDown { return (.fail(TransportError(.refused, "client shut down")), false) }
        let mayConnect = ready.count + connecting < size && now >= nextAttempt
        if let best = ready.min(by: { load($0) < load($1) }) {
            let connect = mayConnect && connecting == 0 && load(best) > 0
            if connect { connecting += 1 }
            return (.use(best), connect)
        }
        if connecting > 0 { return (.wait, false) }
        guard mayConnect else {
            return (.fail(TransportError(.refused, "not connected, waiting to try again: \(lastFailure)")), false)
        }
        connecting += 1
        return (.wait, true)
    }

    mutating func addWaiter(_ waiter: Waiter, id: UInt64) {
        waiters[id] = waiter
    }

    mutating func removeWaiter(id: UInt64) -> Waiter? {
        waiters.removeValue(forKey: id)
    }

    /// An attempt succeeded; returns who waited for it. After shutdown the connection is not kept.
    mutating func connected(_ connection: Connection) -> [Waiter] {
        connecting -= 1
        backoff = .nanoseconds(0)
        nextAttempt = .distantPast
        guard !isShutDown else { return [] }
        ready.append(connection)
        return takeWaiters()
    }

    /// An attempt failed; returns the waiters to fail, unless another attempt or connection can still serve them.
    mutating func failed(_ reason: String, now: NIODeadline) -> [Waiter] {
        connecting -= 1
        lastFailure = reason
        let doubled = TimeAmount.nanoseconds(backoff.nanoseconds * 2)
        backoff = min(max(doubled, Self.backoffFirst), Self.backoffMax)
        nextAttempt = now + backoff
        return connecting == 0 ? takeWaiters() : []
    }

    /// A connection takes no new calls.
    mutating func remove(_ connection: Connection) {
        ready.removeAll { $0 === connection }
    }

    /// Returns all connections and waiters, and serves nobody from now on.
    mutating func shutDown() -> ([Connection], [Waiter]) {
        isShutDown = true
        defer { ready = [] }
        return (ready, takeWaiters())
    }

    private mutating func takeWaiters() -> [Waiter] {
        defer { waiters = [:] }
        return Array(waiters.values)
    }
}
