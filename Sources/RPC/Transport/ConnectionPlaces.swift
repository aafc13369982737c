import Synchronization

/// The places for connections of one port. An address has a limit; the connection that was idle longest is closed to make
/// room; some places stay reserved for connections that soon prove a role.
package final class ConnectionPlaces: Sendable {
    package struct Limits: Sendable {
        package var most: Int
        package var perAddress: Int
        /// Of `most`, places for connections of a proven role; any other may have one for a short time.
        package var reserved: Int

        package init(most: Int, perAddress: Int, reserved: Int) {
            self.most = most
            self.perAddress = perAddress
            self.reserved = min(reserved, most / 2)
        }
    }

    /// One connection's place. Its owner says when it is busy.
    package final class Place: Sendable {
        package let address: String
        fileprivate let number: UInt64
        fileprivate let close: @Sendable () -> Void
        /// When the connection became idle, in nanoseconds; 0 while it is busy.
        fileprivate let idleSince: Atomic<UInt64>

        fileprivate init(number: UInt64, address: String, now: UInt64, close: @escaping @Sendable () -> Void) {
            self.number = number
            self.address = address
            self.close = close
            idleSince = Atomic(now)
        }

        package func setBusy() { idleSince.store(0, ordering: .relaxed) }
        package func setIdle(now: UInt64) { idleSince.store(max(1, now), ordering: .relaxed) }
    }

    package enum Admission: Sendable {
        case place(Place)
        /// There is no ordinary place. Unless it is promoted soon the owner has to close the connection.
        case onProbation(Place)
        case refused
    }

    private enum Standing { case ordinary, probation, proven }

    private struct State {
        var places: [UInt64: (place: Place, standing: Standing)] = [:]
        var ordinary = 0
        var ordinaryOfAddress: [String: Int] = [:]
        var last: UInt64 = 0
        var isOpen = true

        mutating func add(_ place: Place, _ standing: Standing) {
            places[place.number] = (place, standing)
            if standing == .ordinary {
                ordinary += 1
                ordinaryOfAddress[place.address, default: 0] += 1
            }
        }

        mutating func remove(_ number: UInt64) {
            guard let (place, standing) = places.removeValue(forKey: number), standing == .ordinary else { return }
            ordinary -= 1
            let left = ordinaryOfAddress[place.address, default: 1] - 1
            ordinaryOfAddress[place.address] = left > 0 ? left : nil
        }

        /// The ordinary connection that was idle longest.
        func longestIdle(of address: String?) -> Place? {
            var found: (place: Place, since: UInt64)?
            for entry in places.values where entry.standing == .ordinary && (address == nil || entry.place.address == address) {
                let since = entry.place.idleSince.load(ordering: .relaxed)
                if since > 0, found.map({ since < $0.since }) ?? true { found = (entry.place, since) }
            }
            return found?.place
        }

        var oldestOnProbation: Place? {
            places.values.filter { $0.standing == .probation }.min { $0.place.number < $1.place.number }?.place
        }
    }

    private let limits: Limits
    private let state = Mutex(State())
    private let closed = Atomic<Int>(0)

    package init(_ limits: Limits) { self.limits = limits }

    /// Number of connections that have a place now.
    package var count: Int { state.withLock { $0.places.count } }

    /// Connections closed to make room for others since the start.
    package var displaced: Int { closed.load(ordering: .relaxed) }

    /// Gives a connection a place, if need be by closing another one.
    /// - Parameters:
    ///   - isOfMany: whether many callers share the address, so that it has no limit.
    ///   - close: closes the connection, on any thread; it is not called from inside `admit` of its own.
    package func admit(_ address: String, isOfMany: Bool = false, now: UInt64, close: @escaping @Sendable () -> Void) -> Admission {
        let (admission, victim) = state.withLock { state -> (Admission, Place?) in
            guard state.isOpen else { return (.refused, nil) }
            state.last += 1
            let place = Place(number: state.last, address: address, now: now, close: close)
            var victim: Place?
            let isOver = !isOfMany && state.ordinaryOfAddress[address, default: 0] >= limits.perAddress
            if isOver || state.ordinary >= limits.most - limits.reserved || state.places.count >= limits.most {
                victim = state.longestIdle(of: isOver ? address : nil)
                guard let victim else { return Self.admitOnProbation(place, &state, limits) }
                state.remove(victim.number)
            }
            state.add(place, .ordinary)
            return (.place(place), victim)
        }
        if let victim {
            closed.add(1, ordering: .relaxed)
            victim.close()
        }
        return admission
    }

    private static func admitOnProbation(_ place: Place, _ state: inout State, _ limits: Limits) -> (Admission, Place?) {
        var victim: Place?
        if state.places.count >= limits.most {
            // A service proves its role at once, so the connection that has not for longest is the least likely to.
            victim = state.oldestOnProbation ?? state.longestIdle(of: nil)
            guard let victim else { return (.refused, nil) }
            state.remove(victim.number)
        }
        state.add(place, .probation)
        return (.onProbation(place), victim)
    }

    /// Call when the connection has proven a role: it keeps its place, regardless of the limits.
    package func promote(_ place: Place) {
        state.withLock { state in
            guard state.places[place.number] != nil else { return }
            state.remove(place.number)
            state.add(place, .proven)
        }
    }

    package func isOnProbation(_ place: Place) -> Bool {
        state.withLock { $0.places[place.number]?.standing == .probation }
    }

    package func leave(_ place: Place) { state.withLock { $0.remove(place.number) } }

    /// Admits no more connections.
    package func shut() { state.withLock { $0.isOpen = false } }
}
