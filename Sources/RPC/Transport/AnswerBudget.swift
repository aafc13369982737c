import Synchronization

/// Memory for answers that their callers have not read yet. Where it is full, the answer that has waited for longest goes.
package final class AnswerBudget: Sendable {
    /// Shorter ones are not counted.
    package static let shortBytes = 16 << 10

    private struct Held {
        var bytes: Int
        var evict: @Sendable () -> Void
    }

    private let most: Int
    private let state = Mutex((bytes: 0, last: UInt64(0), held: [UInt64: Held]()))

    /// - Parameter bytes: held at a time by all answers of a port.
    package init(bytes: Int = 96 << 20) { most = bytes }

    /// Bytes held now.
    package var bytes: Int { state.withLock { $0.bytes } }

    /// - Parameters:
    ///   - ticket: of the answer of which these bytes are a part; nil for its first.
    ///   - evict: called on any thread where the answer has to go. Its bytes count as free at once.
    /// - Returns: the answer's ticket: another one where all before was given back or evicted.
    package func take(_ bytes: Int, ticket: UInt64?, evict: @escaping @Sendable () -> Void) -> UInt64 {
        let (ticket, evicted) = state.withLock { state -> (UInt64, [Held]) in
            let known = ticket.flatMap { state.held[$0] == nil ? nil : $0 }
            state.last += known == nil ? 1 : 0
            let ticket = known ?? state.last
            state.held[ticket, default: Held(bytes: 0, evict: evict)].bytes += bytes
            state.bytes += bytes
            var evicted: [Held] = []
            while state.bytes > most, let oldest = state.held.keys.min(), let held = state.held.removeValue(forKey: oldest) {
                state.bytes -= held.bytes
                evicted.append(held)
            }
            return (ticket, evicted)
        }
        for held in evicted { held.evict() }
        return ticket
    }

    /// Frees bytes that are sent.
    package func giveBack(_ bytes: Int, of ticket: UInt64) {
        state.withLock { state in
            guard let held = state.held[ticket] else { return }
            let gone = min(bytes, held.bytes)
            state.bytes -= gone
            state.held[ticket] = gone == held.bytes ? nil : Held(bytes: held.bytes - gone, evict: held.evict)
        }
    }

    /// Frees all that the answer holds.
    package func release(_ ticket: UInt64) {
        state.withLock { state in
            if let held = state.held.removeValue(forKey: ticket) { state.bytes -= held.bytes }
        }
    }
}
