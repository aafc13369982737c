import Synchronization

/// Memory for answers that their callers have not read yet. If it is full, the answer that has waited longest is dropped.
package final class AnswerBudget: Sendable {
    /// Parts below this size are not counted.
    package static let shortBytes = 16 << 10

    private struct Held {
        var bytes: Int
        var evict: @Sendable () -> Void
    }

    private let most: Int
    private let state = Mutex((bytes: 0, last: UInt64(0), held: [UInt64: Held]()))

    /// An empty budget.
    /// - Parameter bytes: max bytes held by all answers of a port.
    package init(bytes: Int = 96 << 20) { most = bytes }

    /// Bytes held now.
    package var bytes: Int { state.withLock { $0.bytes } }

    /// Counts a part of an answer; if the budget is full, evicts the answers that have waited longest.
    /// - Parameters:
    ///   - ticket: the answer's ticket; nil for its first part.
    ///   - evict: called on any thread if the answer is evicted. Its bytes count as free at once.
    /// - Returns: the answer's ticket; a new one if all its parts before were given back or evicted.
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
