/// The definition of a funnel (`FUNNEL.md` section 2), parsed and checked from JSON.
package struct FunnelDefinition: Equatable, Sendable {
    package var id: ByteString?
    package var steps: [Step]
    /// Map from event to step name, many to one, in the order given.
    package var eventTypes: [EventType] = []
    /// Element i: the probability that a user whose deepest open attempt has depth i + 1 will convert.
    package var probability: [Double]
    package var window: Microseconds = 2_592_000_000_000
    package var anchor: WindowAnchor = .firstStep
    package var order: ConversionOrder = .sequential
    package var clock: Clock = .second
    package var entry: Entry = .shortest
    package var exclusions: [Exclusion] = []
    package var held: [HeldProperty] = []
    package var countBy: CountBy = .users
    /// The longest pause within a session.
    package var sessionGap: Microseconds = defaultSessionGap
    package var isDefault = false
    package var preset: Preset?

    package static let defaultSessionGap: Microseconds = 1_800_000_000

    package struct Step: Equatable, Sendable {
        package var name: ByteString
        package var events: EventSet = .ownName
        package var filters: [Predicate] = []
        package var isOptional = false
        /// The step's own window, from the previous matched step; a further bound besides the funnel's window.
        package var window: Microseconds?

        package init(_ name: ByteString, events: EventSet = .ownName, filters: [Predicate] = []) {
            self.name = name
            self.events = events
            self.filters = filters
        }
    }

    package enum EventSet: Equatable, Sendable {
        /// The event with the step's own name.
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
        /// A step may precede the step before it by less than `limit`.
        case flexible(limit: Microseconds)
        /// Sequential, without other events between two steps.
        case strict
        case any
    }

    /// An event that must not come between two steps.
    package struct Exclusion: Equatable, Sendable {
        /// Never `ownName`.
        package var events: EventSet
        package var filters: [Predicate]
        /// Step numbers, 1-based: the event must not come between step `after` and step `before`.
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
        /// The property's name at each step.
        case byStep([ByteString])

        package func name(atStep step: Int) -> ByteString {
            switch self {
            case .everyStep(let name): name
            case .byStep(let names): names[step]
            }
        }
    }

    /// The units that are counted (`FUNNEL.md` section 7, "What is counted").
    package enum CountBy: Equatable, Sendable {
        case users, attempts, sessions
        /// Pairs of a user and a value.
        case property(ByteString)
    }

    package enum Clock: String, CaseIterable, Sendable {
        case second, microsecond

        package var tick: Microseconds { self == .second ? 1_000_000 : 1 }
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
