import FunnelMatch
import FunnelModel
import Synchronization

/// A user who is too heavy for a query: with more events than it reads of one, or with a search that takes too much work.
package struct HeavyUser: Error, Equatable, Sendable {
    /// In the view.
    package var place: Int
    /// `MatchError.workBudget` or `.tooManyEvents`.
    package var reason: MatchError
}

extension HeavyUser: CustomStringConvertible {
    package var description: String { "the user at place \(place): \(reason)" }
}

/// What becomes of users who are too heavy: a scan fails at the first of them, or notes all of them, so that it can be run
/// again without them. Used by all of its threads.
package final class HeavyUsers: Sendable {
    /// Events of one user that are read.
    let rowsMax: Int
    private let areNoted: Bool
    private let noted = Mutex<Set<Int>>([])

    package init(areNoted: Bool, rowsMax: Int = Limits.userRows) {
        self.areNoted = areNoted
        self.rowsMax = rowsMax
    }

    /// Places of those noted, ascending. What the scan found otherwise then means nothing.
    package var places: [Int] { noted.withLock { $0.sorted() } }

    /// - Throws: `HeavyUser` where they are not noted.
    func meet(_ place: Int, _ reason: MatchError) throws(HeavyUser) {
        guard areNoted else { throw HeavyUser(place: place, reason: reason) }
        noted.withLock { _ = $0.insert(place) }
    }

    /// Of a user with more events than are read.
    func meetCrowd(_ place: Int) throws(HeavyUser) { try meet(place, .tooManyEvents(limit: rowsMax)) }

    /// Runs what concerns one user.
    /// - Throws: what `body` throws, and `HeavyUser`.
    func at(_ place: Int, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as MatchError {
            switch error {
            case .workBudget, .tooManyEvents: try meet(place, error)
            case .notPlain, .notUsers, .optionalStep, .cancelled: throw error
            }
        }
    }
}
