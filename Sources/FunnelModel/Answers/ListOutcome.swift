/// Which users a list holds.
package enum ListOutcome: String, CaseIterable, Sendable {
    /// Got at least as far as the step.
    case reached
    /// Reached the step before it, and not it.
    case dropped
    /// Reached the last step.
    case converted
    /// Dropped, and has an attempt that can still go on.
    case open
}
