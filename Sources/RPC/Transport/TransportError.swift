import HTTP2

/// A call that failed below the level of answers.
package struct TransportError: Error, Sendable, CustomStringConvertible {
    /// What the caller may conclude about the other side.
    package enum Outcome: Sendable, Hashable {
        /// Certainly nothing was done: connect failed, stream refused, never sent. Safe to repeat.
        case refused
        /// It may have been done: lost after sending, deadline, reset.
        case unknown
        /// Our own fault or limit: repeating the same call will fail the same way.
        case failed
    }

    /// What the caller may conclude.
    package let outcome: Outcome
    /// For people; lower case.
    package let message: String
    /// The time ran out, as opposed to a failure.
    package let isDeadline: Bool
    /// The caller's own cancellation.
    package let isCancellation: Bool
    /// The peer's reset code, if a reset ended the call.
    package let resetCode: HTTP2ErrorCode?

    /// Builds an error.
    package init(
        _ outcome: Outcome, _ message: String, isDeadline: Bool = false, isCancellation: Bool = false,
        resetCode: HTTP2ErrorCode? = nil
    ) {
        self.outcome = outcome
        self.message = message
        self.isDeadline = isDeadline
        self.isCancellation = isCancellation
        self.resetCode = resetCode
    }

    package var description: String { message }
}
