import EventStorage
import FunnelMatch
import Synchronization

/// Hands out slices of places in ascending order, to any number of threads.
package final class SliceQueue: Sendable {
    private struct State {
        var range = 0
        var start = 0
    }

    private let places: [Range<Int>]
    private let size: Int
    private let heavy: HeavyUsers
    private let state: Mutex<State>

    convenience init(_ query: ShardQuery, size: Int) { self.init(query.places, size: size, query.heavy) }

    init(_ places: [Range<Int>], size: Int, _ heavy: HeavyUsers) {
        self.places = places
        self.size = max(1, size)
        self.heavy = heavy
        state = Mutex(State(start: places.first?.lowerBound ?? 0))
    }

    /// Number of slices.
    var count: Int { places.reduce(0) { $0 + ($1.count + size - 1) / size } }

    /// Calls `body` with slices until none is left. A slice with more events than may be read at once is halved, down to a
    /// single user, who then is too heavy.
    /// - Parameters:
    ///   - isCancelled: called once a slice.
    ///   - body: must have no effect if it throws `StoreError` with `.tooManyRows`.
    /// - Throws: `MatchError.cancelled`, `HeavyUser`, and other errors of `body`.
    func each(_ isCancelled: () -> Bool, _ body: (Range<Int>) throws -> Void) throws {
        while let slice = next() {
            if isCancelled() { throw MatchError.cancelled }
            try deal(slice, body)
        }
    }

    private func deal(_ slice: Range<Int>, _ body: (Range<Int>) throws -> Void) throws {
        do {
            return try body(slice)
        } catch let error as StoreError where error.code == .tooManyRows {
            guard slice.count > 1 else { return try heavy.meetCrowd(slice.lowerBound) }
        }
        let middle = slice.lowerBound + slice.count / 2
        try deal(slice.lowerBound..<middle, body)
        try deal(middle..<slice.upperBound, body)
    }

    private func next() -> Range<Int>? {
        state.withLock { state in
            while state.range < places.count, state.start >= places[state.range].upperBound {
                state.range += 1
                if state.range < places.count { state.start = places[state.range].lowerBound }
            }
            guard state.range < places.count else { return nil }
            let slice = state.start..<min(places[state.range].upperBound, state.start + size)
            state.start = slice.upperBound
            return slice
        }
    }
}
