/// Which users are in a user list (`FUNNEL.md` section 6, "User lists").
package enum ListOutcome: String, CaseIterable, Sendable {
    /// Reached the step.
    case reached
    /// Reached the nearest required step before it, and not the step.
    case dropped
    /// Reached the last step.
    case converted
    /// Dropped, and has an open attempt.
    case open
}
