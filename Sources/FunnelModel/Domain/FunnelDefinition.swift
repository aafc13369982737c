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

/// Named rule sets of other systems, versioned. A preset fills the fields that the definition leaves out.
package enum Preset: String, CaseIterable, Sendable {
    case sluice1 = "sluice/1"
    case mparticleSequential1 = "mparticle-sequential/1"
    case mparticleFlexible1 = "mparticle-flexible/1"
    case mixpanelUnique1 = "mixpanel-unique/1"
    case mixpanelTotals1 = "mixpanel-totals/1"
    case amplitude1 = "amplitude/1"
    case posthog1 = "posthog/1"
    case clickhouseDefault1 = "clickhouse-default/1"
    case clickhouseStrictIncrease1 = "clickhouse-strict_increase/1"

    func apply(to definition: inout FunnelDefinition) {
        switch self {
        case .sluice1, .mparticleSequential1: break
        case .mparticleFlexible1: definition.order = .flexible(limit: 86_400 * 1_000_000)
        case .mixpanelUnique1:
            definition.order = .flexible(limit: 2_000_000)
            definition.entry = .first
        case .mixpanelTotals1:
            definition.order = .flexible(limit: 2_000_000)
            definition.countBy = .attempts
        case .amplitude1: definition.order = .flexible(limit: 1_000_000)
        case .posthog1, .clickhouseDefault1:
            definition.order = .flexible(limit: 1)
            definition.clock = .microsecond
        case .clickhouseStrictIncrease1: definition.clock = .microsecond
        }
    }
}

extension Preset {
    /// The effect of an exclusion that names none.
    var exclusionEffect: FunnelDefinition.Exclusion.Effect { self == .posthog1 ? .dropUser : .endAttempt }
}

/// A length of time as written in definitions: `<integer><unit>`, unit `us ms s m h d`.
package enum DurationText {
    private static let units: [(name: String, microseconds: Int64)] = [
        ("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000),
    ]

    /// Microseconds, or nil where the text is not of that form or overflows.
    package static func parse(_ text: ByteString) -> Int64? {
        let digits = text.bytes.prefix { $0 >= 48 && $0 <= 57 }
        let unit = String(decoding: text.bytes[digits.count...], as: UTF8.self)
        guard !digits.isEmpty, let value = Int64(String(decoding: digits, as: UTF8.self)),
            let scale = units.first(where: { $0.name == unit })?.microseconds
        else { return nil }
        let (product, overflow) = value.multipliedReportingOverflow(by: scale)
        return overflow ? nil : product
    }

    /// The same length in the largest unit that divides it.
    package static func format(_ microseconds: Int64) -> String {
        let unit = units.last { microseconds % $0.microseconds == 0 && microseconds != 0 } ?? units[2]
        return "\(microseconds / unit.microseconds)\(unit.name)"
    }
}
