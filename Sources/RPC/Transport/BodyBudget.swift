import Synchronization

/// Memory for request bodies, shared out so that no caller can keep others out.
///
/// A body takes its memory through a lease, which belongs to accounts: the whole, and parts of it such as those of a connection,
/// an address or a project. If an account is full, the slowest body in it that is still arriving is evicted, not the new one.
package final class BodyBudget: Sendable {
    /// A part of the budget, or the whole of it.
    package final class Account: Sendable {
        fileprivate let most: Int
        fileprivate let held = Atomic<Int>(0)

        /// An empty account.
        /// - Parameter most: max bytes of all its bodies.
        package init(most: Int) { self.most = most }

        package var bytes: Int { held.load(ordering: .relaxed) }
    }

    private let whole: Account
    private let arriving = Mutex<[ObjectIdentifier: BodyLease]>([:])

    /// An empty budget.
    /// - Parameter bytes: max bytes held by all bodies.
    package init(bytes: Int) { whole = Account(most: bytes) }

    /// Bytes held now.
    package var bytes: Int { whole.bytes }

    /// Begins a lease for one body.
    /// - Parameters:
    ///   - parts: the accounts of the body beside the whole.
    ///   - isProven: whether the caller is a service of the cluster. Its bodies are evicted after all others, and only for
    ///     another service.
    ///   - evict: called on any thread if the body is evicted. Its bytes count as free at once.
    package func lease(
        in parts: [Account], isProven: Bool = false, now: UInt64, evict: @escaping @Sendable () -> Void
    ) -> BodyLease {
        let lease = BodyLease(self, accounts: parts + [whole], isProven: isProven, now: now, evict: evict)
        arriving.withLock { $0[ObjectIdentifier(lease)] = lease }
        return lease
    }

    fileprivate func forget(_ lease: BodyLease) {
        arriving.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(lease)) }
    }

    /// Evicts the slowest bodies until the account is within its limit, and a little below so that this need not be done for
    /// each chunk. Does nothing and returns false if bodies slower than `taker` do not hold enough.
    fileprivate func makeRoom(in account: Account, for taker: BodyLease, now: UInt64) -> Bool {
        let candidates = arriving.withLock { arriving in
            arriving.values.filter { lease in
                lease.accounts.contains { $0 === account } && (taker.isProven || !lease.isProven)
                    && now >= lease.began + BodyLease.graceNanoseconds
            }
        }
        let ranked = candidates.map { (lease: $0, isProven: $0.isProven ? 1 : 0, rate: $0.rate(now: now)) }
            .sorted { ($0.isProven, $0.rate) < ($1.isProven, $1.rate) }.prefix { $0.lease !== taker }
        let excess = account.bytes - account.most
        guard excess > 0 else { return true }
        guard ranked.reduce(0, { $0 + $1.lease.bytes }) >= excess else { return false }
        var left = excess + account.most / 64
        for entry in ranked where left > 0 { left -= entry.lease.evictNow() }
        return true
    }
}

/// The memory that one body has taken from the budget. One task or event loop takes; any thread may evict.
package final class BodyLease: Sendable {
    /// A body is not evicted in its first second: its rate says nothing yet.
    fileprivate static let graceNanoseconds: UInt64 = 1_000_000_000
    private static let windowNanoseconds: UInt64 = 10_000_000_000

    fileprivate let accounts: [BodyBudget.Account]
    fileprivate let isProven: Bool
    fileprivate let began: UInt64
    private let budget: BodyBudget
    private let evict: @Sendable () -> Void
    private let held = Atomic<Int>(0)
    private let isEvicted = Atomic<Bool>(false)
    // Bytes of this window of time and of the one before; approximate if they are read while they change.
    private let windowStart: Atomic<UInt64>
    private let windowBytes = Atomic<Int>(0)
    private let bytesBefore = Atomic<Int>(0)

    fileprivate init(
        _ budget: BodyBudget, accounts: [BodyBudget.Account], isProven: Bool, now: UInt64, evict: @escaping @Sendable () -> Void
    ) {
        self.budget = budget
        self.accounts = accounts
        self.isProven = isProven
        self.evict = evict
        began = now
        windowStart = Atomic(now)
    }

    /// Bytes held now.
    package var bytes: Int { held.load(ordering: .relaxed) }

    /// Takes bytes; false if there is no room, or the body was evicted. What was taken before stays taken.
    package func take(_ bytes: Int, now: UInt64) -> Bool {
        note(bytes, now: now)
        for account in accounts { account.held.wrappingAdd(bytes, ordering: .relaxed) }
        while let full = accounts.first(where: { $0.bytes > $0.most }) {
            guard budget.makeRoom(in: full, for: self, now: now) else {
                giveBack(bytes)
                return false
            }
        }
        guard !isEvicted.load(ordering: .acquiring) else {
            giveBack(bytes)
            return false
        }
        held.wrappingAdd(bytes, ordering: .relaxed)
        return true
    }

    /// Call when the body is complete: it cannot be evicted any more. False if it was evicted.
    package func finish() -> Bool {
        budget.forget(self)
        return !isEvicted.load(ordering: .acquiring)
    }

    /// Gives all of it back; may be called again.
    package func end() {
        budget.forget(self)
        giveBack(held.exchange(0, ordering: .relaxed))
    }

    /// Evicts the body.
    /// - Returns: the bytes that became free.
    fileprivate func evictNow() -> Int {
        guard !isEvicted.exchange(true, ordering: .acquiringAndReleasing) else { return 0 }
        budget.forget(self)
        let bytes = held.exchange(0, ordering: .relaxed)
        giveBack(bytes)
        evict()
        return bytes
    }

    private func giveBack(_ bytes: Int) {
        guard bytes > 0 else { return }
        for account in accounts { account.held.wrappingSubtract(bytes, ordering: .relaxed) }
    }

    private func note(_ bytes: Int, now: UInt64) {
        let start = windowStart.load(ordering: .relaxed)
        if now >= start + Self.windowNanoseconds {
            let isNext = now < start + 2 * Self.windowNanoseconds
            bytesBefore.store(isNext ? windowBytes.load(ordering: .relaxed) : 0, ordering: .relaxed)
            windowBytes.store(0, ordering: .relaxed)
            windowStart.store(now, ordering: .relaxed)
        }
        windowBytes.wrappingAdd(bytes, ordering: .relaxed)
    }

    /// Approximate bytes per second, over the last ten seconds or since the body began.
    fileprivate func rate(now: UInt64) -> Double {
        let window = Double(Self.windowNanoseconds)
        let start = windowStart.load(ordering: .relaxed)
        let elapsed = now > start ? Double(now - start) : 0
        let before = Double(bytesBefore.load(ordering: .relaxed)) * max(0, 1 - elapsed / window)
        let age = now > began ? Double(now - began) : 0
        let span = max(1, min(age, max(window, elapsed)))
        return (Double(windowBytes.load(ordering: .relaxed)) + before) / span * 1e9
    }
}
