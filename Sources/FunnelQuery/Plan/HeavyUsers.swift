import FunnelMatch
import FunnelModel
import Synchronization

/// A user who is too heavy for a query: more events than a query reads, or too much search work.
package struct HeavyUser: Error, Equatable, Sendable {
    /// The user's place in the view.
    package var place: Int
    /// `MatchError.workBudget` or `.tooManyEvents`.
    package var reason: MatchError
}

extension HeavyUser: CustomStringConvertible {
    package var description: String { "the user at place \(place): \(reason)" }
}

/// What a scan does with users who are too heavy: it fails at the first one, or notes all of them, so that it can run again
/// without them. All threads of a scan share it.
package final class HeavyUsers: Sendable {
    /// Max number of events that are read of one user.
    let rowsMax: Int
    private let areNoted: Bool
    private let noted = Mutex<Set<Int>>([])

    /// With `areNoted` heavy users are noted; else the first one is an error.
    package init(areNoted: Bool, rowsMax: Int = Limits.userRows) {
        self.areNoted = areNoted
        self.rowsMax = rowsMax
    }

    /// Places of the noted users, ascending. If there are any, all other results of the scan are void.
    package var places: [Int] { noted.withLock { $0.sorted() } }

    /// Notes a heavy user.
    /// - Throws: `HeavyUser` if heavy users are not noted.
    func meet(_ place: Int, _ reason: MatchError) throws(HeavyUser) {
        guard areNoted else { throw HeavyUser(place: place, reason: reason) }
        noted.withLock { _ = $0.insert(place) }
    }

    /// Notes a user with more than `rowsMax` events.
    func meetCrowd(_ place: Int) throws(HeavyUser) { try meet(place, .tooManyEvents(limit: rowsMax)) }

    /// Runs the work on one user; its errors `.workBudget` and `.tooManyEvents` make the user heavy.
    /// - Throws: other errors of `body`, and `HeavyUser`.
    func at(_ place: Int, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as MatchError {
            switch error {
            case .workBudget, .tooManyEvents: try meet(place, error)
            case .notUsers, .optionalStep, .cancelled: throw error
            }
        }
    }
}
