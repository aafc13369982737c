/// An explanation of one user's outcome: the chosen attempt, why it has no next step, and the attempts and events around it
/// (`FUNNEL.md` section 6, "One user explained").
package struct UserExplanation: Equatable, Sendable {
    package var depth = 0
    /// Events of the chosen attempt, in the order of rows of the report; skipped steps are left out.
    package var chosen: [Chosen] = []
    /// Why there is no next step; nil for a user who converted.
    package var stopped: Miss?
    /// The last clock value at which some attempt is open, in microseconds; nil if none is, or the user converted.
    package var openUntil: Int64?
    /// Other attempts, in order of time: the deepest ones if there are more than `attemptsShown`.
    package var attempts: [Attempt] = []
    package var attemptsInAll = 0
    /// The user's events around the chosen attempt, in order.
    package var events: [Entry] = []
    package var eventsInAll = 0

    package static let attemptsShown = 20
    package static let eventsShown = 200

    package init() {}

    /// An event of the user, of any name.
    package struct Moment: Equatable, Sendable {
        package var event: ByteString
        /// Microseconds.
        package var time: Int64

        package init(_ event: ByteString, _ time: Int64) {
            self.event = event
            self.time = time
        }
    }

    /// An event of the chosen attempt, with the properties it has.
    package struct Chosen: Equatable, Sendable {
        /// The step that the event did, 0-based.
        package var position: Int
        package var moment: Moment
        package var properties: [Event.Property]

        package init(position: Int, moment: Moment, properties: [Event.Property]) {
            self.position = position
            self.moment = moment
            self.properties = properties
        }
    }

    /// One of the user's events around the attempt.
    package struct Entry: Equatable, Sendable {
        package var moment: Moment
        /// Positions that the event can fill, as bits.
        package var positions: UInt64

        package init(moment: Moment, positions: UInt64) {
            self.moment = moment
            self.positions = positions
        }
    }

    /// Another attempt, and why it was not chosen.
    package struct Attempt: Equatable, Sendable {
        /// Time of its first event, in microseconds.
        package var time: Int64
        package var depth: Int
        /// Ticks from step 1 to the deepest step.
        package var took: UInt64
        package var notChosen: NotChosen

        package init(time: Int64, depth: Int, took: UInt64, notChosen: NotChosen) {
            self.time = time
            self.depth = depth
            self.took = took
            self.notChosen = notChosen
        }
    }

    package enum NotChosen: String, CaseIterable, Sendable {
        case shallower
        case fewerOptional = "fewer_optional_steps"
        case slower
        case later
        case leftOut = "left_out"
    }

    /// The nearest miss: the event that failed the fewest rules as the next step, and the first rule that it failed.
    package struct Miss: Equatable, Sendable {
        /// The step that was not done, 0-based.
        package var position: Int
        package var reason: Reason
        /// The event; nil if there is none.
        package var candidate: Moment?
        /// The event that excludes it or comes between.
        package var blocker: Moment?
        /// The property whose condition or held value it failed; empty for other reasons.
        package var property: ByteString = ""
        /// By how much it is too early or too late, in microseconds.
        package var distance: UInt64 = 0

        package init(position: Int, reason: Reason, candidate: Moment? = nil) {
            self.position = position
            self.reason = reason
            self.candidate = candidate
        }
    }

    /// Rules in the order in which they are tested. `noEvent`, `leftOut` and `notInCohort` are not rules of an event.
    package enum Reason: String, CaseIterable, Sendable {
        case noEvent = "no_event"
        case condition
        case held = "held_value"
        case range
        case used
        case sameTime = "same_time"
        case order
        case window
        case stepWindow = "step_window"
        case between
        case excluded
        case leftOut = "left_out"
        case notInCohort = "not_in_cohort"
    }
}
