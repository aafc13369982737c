import EventStorage
import FunnelMatch
import FunnelModel

/// The chosen attempt (`FUNNEL.md` section 5) of one unit: of a user, or of an attempt, a session or a value where those are
/// counted.
package struct ChosenAttempt: Sendable {
    /// The user's place in the view.
    package var place: Int
    /// The deepest step reached, 1-based.
    package var depth: Int
    /// Time of each reached step's event, in microseconds; nil for an optional step that was not done.
    package var time: [Int64?]
    /// The rows of those events.
    package var row: [RowRef?]
    /// In any order: the position that each event fills; element i of `time` and `row` is then the event with which i + 1 steps
    /// were done. Empty otherwise.
    package var positions: [Int]
}
