/// What a funnel counts. Parsed and checked from the configuration's JSON; see `Protocol/FUNNEL.md`.
package struct FunnelDefinition: Equatable, Sendable {
    package var id: ByteString?
    package var steps: [Step]
    /// Event to step name, many to one, in the order given.
    package var eventTypes: [EventType] = []
    /// Chance to convert of a user who has got as far as step `i` and still can; one per step.
    package var probability: [Double]
    /// Microseconds.
    package var window: Int64 = 30 * 86_400 * 1_000_000
    package var anchor: WindowAnchor = .firstStep
    package var order: ConversionOrder = .sequential
    package var clock: Clock = .second
    package var entry: Entry = .shortest
    package var exclusions: [Exclusion] = []
    package var held: [HeldProperty] = []
    package var countBy: CountBy = .users
    /// Microseconds; the longest pause within a session.
    package var sessionGap: Int64 = defaultSessionGap
    package var isDefault = false
    package var preset: Preset?

    package static let defaultSessionGap: Int64 = 30 * 60 * 1_000_000

    package struct Step: Equatable, Sendable {
        package var name: ByteString
        package var events: EventSet = .ownName
        package var filters: [Predicate] = []
        package var isOptional = false
        /// Microseconds from the previous matched step, a bound besides the funnel's window.
        package var window: Int64?

        package init(_ name: ByteString, events: EventSet = .ownName, filters: [Predicate] = []) {
            self.name = name
            self.events = events
            self.filters = filters
        }
    }

    package enum EventSet: Equatable, Sendable {
        /// The event named like the step.
        case ownName
        case named([ByteString])
        /// `"events": ["*"]`
        case any
    }

    package struct EventType: Equatable, Sendable {
        package var event: ByteString
        package var step: ByteString
    }

    package enum WindowAnchor: String, CaseIterable, Sendable {
        case firstStep = "first_step"
        case previousStep = "previous_step"
    }

    package enum ConversionOrder: Equatable, Sendable {
        case sequential
        /// A step may precede the step before it by less than `limit` microseconds.
        case flexible(limit: Int64)
        /// Sequential, with no other event between two steps.
        case strict
        case any
    }

    /// An event that must not come between two steps.
    package struct Exclusion: Equatable, Sendable {
        /// Never `ownName`.
        package var events: EventSet
        package var filters: [Predicate]
        /// Steps, 1-based: the event must not come later than `after` and earlier than `before`.
        package var after: Int
        package var before: Int
        package var effect: Effect

        package init(events: EventSet, filters: [Predicate] = [], after: Int, before: Int, effect: Effect = .endAttempt) {
            self.events = events
            self.filters = filters
            self.after = after
            self.before = before
            self.effect = effect
        }

        package enum Effect: String, CaseIterable, Sendable {
            case endAttempt = "end_attempt"
            case dropUser = "drop_user"
        }
    }

    /// A property that all events of an attempt must share.
    package enum HeldProperty: Equatable, Sendable {
        case everyStep(ByteString)
        /// The name under which each step's event has it.
        case byStep([ByteString])

        package func name(atStep step: Int) -> ByteString {
            switch self {
            case .everyStep(let name): name
            case .byStep(let names): names[step]
            }
        }
    }

    /// What is counted.
    package enum CountBy: Equatable, Sendable {
        case users, attempts, sessions
        /// Pairs of a user and a value.
        case property(ByteString)
    }

    package enum Clock: String, CaseIterable, Sendable {
        case second, microsecond

        /// Microseconds of one tick.
        package var tick: Int64 { self == .second ? 1_000_000 : 1 }
    }

    package enum Entry: String, CaseIterable, Sendable {
        case shortest, earliest, first
    }

    package init(id: ByteString? = nil, steps: [Step]) {
        self.id = id
        self.steps = steps
        self.probability = Array(repeating: 0.5, count: steps.count)
    }
}
