/// What a funnel makes of one user: the chosen attempt, why it went no further, and what else there was
/// (`Protocol/FUNNEL.md`, section 6).
package struct UserExplanation: Equatable, Sendable {
    package var depth = 0
    /// Events of the chosen attempt, in the order of its rows; skipped steps are left out.
    package var chosen: [Chosen] = []
    /// Why there is no next step; nil for a user who converted.
    package var stopped: Miss?
    /// Microseconds of the last clock value at which some attempt can still go on; nil where none can, or the user converted.
    package var openUntil: Int64?
    /// Other attempts, in order of time: the deepest where there are more than `attemptsShown`.
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

    package struct Entry: Equatable, Sendable {
        package var moment: Moment
        /// Positions that the event can fill, as bits.
        package var positions: UInt64

        package init(moment: Moment, positions: UInt64) {
            self.moment = moment
            self.positions = positions
        }
    }

    package struct Attempt: Equatable, Sendable {
        /// Of step 1, in microseconds.
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

    /// The candidate for the next step that came nearest, and the first rule it failed.
    package struct Miss: Equatable, Sendable {
        /// The step that was not done, 0-based.
        package var position: Int
        package var reason: Reason
        /// The candidate.
        package var candidate: Moment?
        /// What excluded it, or came between.
        package var blocker: Moment?
        /// Whose condition or held value it failed; empty where that is not the reason.
        package var property: ByteString = ""
        /// Microseconds that it was too early or too late.
        package var distance: UInt64 = 0

        package init(position: Int, reason: Reason, candidate: Moment? = nil) {
            self.position = position
            self.reason = reason
            self.candidate = candidate
        }
    }

    /// In the order in which the rules are asked, but for the last two, which are about the user.
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
