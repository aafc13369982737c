import FunnelModel

/// A definition resolved for matching: which positions an event can fill, and all distances in ticks. Positions are 0-based.
package struct FunnelPlan: Sendable {
    package let definition: FunnelDefinition
    package let steps: Int
    /// Microseconds of one tick.
    package let tick: Int64
    /// Conversion window in ticks, inclusive.
    package let window: Ticks
    /// A step must be later than the step before it minus this many ticks; 0 in sequential and strict order. Unused in any
    /// order.
    package let slack: Ticks
    /// By position: max ticks from the previous matched step; nil if only the funnel's window applies.
    package let stepWindow: [Ticks?]
    /// Positions that a chain may skip.
    package let optional: StepSet
    package let exclusions: [Exclusion]
    /// `held[h][i]`: index in `heldProperties` of the property whose value an event at position i must share with all others.
    package let held: [[Int]]
    /// The max pause within a session, in ticks.
    package let sessionGap: Ticks
    /// Times of events that may start an attempt, in microseconds.
    package let entryRange: Range<Int64>
    /// Microseconds.
    package let asOf: Int64

    /// Names that a step or an exclusion gives.
    private let named: Set<ByteString>
    private let readsEveryEvent: Bool
    /// Properties of events whose codes a history must have (`UserHistory.held`).
    package let heldProperties: [ByteString]
    private let admission: EventAdmission
    private let exclusionAdmission: EventAdmission

    /// Two steps that an excluded event must not come between.
    package struct Exclusion: Equatable, Sendable {
        /// Position.
        package let after: Int
        /// Position.
        package let before: Int
        package let dropsUser: Bool
    }

    /// The plan of a definition; `entryRange` nil is all times.
    package init(_ definition: FunnelDefinition, entryRange: Range<Int64>?, asOf: Int64) {
        self.definition = definition
        self.asOf = asOf
        self.entryRange = entryRange ?? Int64.min..<Int64.max
        let clock = definition.clock
        tick = clock.tick.count
        steps = definition.steps.count
        window = Ticks(definition.window, of: clock)
        if case .flexible(let limit) = definition.order { slack = Ticks(limit, of: clock) } else { slack = Ticks(0) }
        stepWindow = definition.steps.map { step in step.window.map { Ticks($0, of: clock) } }
        sessionGap = Ticks(definition.sessionGap, of: clock)
        var optional = StepSet()
        for (i, step) in definition.steps.enumerated() where step.isOptional { optional.insert(i) }
        self.optional = optional
        exclusions = definition.exclusions.map {
            Exclusion(after: $0.after - 1, before: $0.before - 1, dropsUser: $0.effect == .dropUser)
        }

        var properties: [ByteString] = []
        held = definition.held.map { entry in
            definition.steps.indices.map { step in
                let name = entry.name(atStep: step)
                if let known = properties.firstIndex(of: name) { return known }
                properties.append(name)
                return properties.count - 1
            }
        }
        heldProperties = properties

        admission = EventAdmission(
            definition.steps.map { step in
                (step.events, step.name, definition.eventTypes.filter { $0.step == step.name }.map(\.event), step.filters)
            })
        exclusionAdmission = EventAdmission(definition.exclusions.map { ($0.events, "", [], $0.filters) })
        named = admission.named.union(exclusionAdmission.named)
        let needsEveryEvent = definition.order == .strict || definition.countBy == .sessions
        readsEveryEvent = needsEveryEvent || admission.hasWildcard || exclusionAdmission.hasWildcard
    }

    /// Names of the events to read, ascending.
    /// - Parameter all: all names that there are. Profile records are read only where a step or an exclusion names them.
    package func events(of all: @autoclosure () -> [ByteString]) -> [ByteString] {
        guard readsEveryEvent else { return named.sorted() }
        return named.union(all().behaviour()).sorted()
    }

    /// Whether the plan has only the rules that `DepthCounter` knows: plain chains, one outcome a user.
    package var isPlain: Bool { hasPlainChains && !isNarrowed && definition.countBy == .users }

    /// Whether there are rules that only take chains away: exclusions or held properties.
    package var isNarrowed: Bool { !exclusions.isEmpty || !held.isEmpty }

    /// Whether order is sequential or flexible, no step is optional and none has its own window. What is counted, exclusions
    /// and held properties make no difference.
    package var hasPlainChains: Bool {
        definition.order != .strict && definition.order != .any && optional.isEmpty && stepWindow.allSatisfy { $0 == nil }
    }

    /// Whether a history must have a row for every event of the user, of any name: strict order and sessions read events that
    /// fill nothing.
    package var needsEveryEvent: Bool { definition.order == .strict || definition.countBy == .sessions }

    /// Whether some step has conditions.
    package var readsProperties: Bool { !admission.filtered.isEmpty }

    package var exclusionsReadProperties: Bool { !exclusionAdmission.filtered.isEmpty }

    /// The property whose codes `UserHistory.unit` holds.
    package var unitProperty: ByteString? {
        if case .property(let name) = definition.countBy { return name }
        return nil
    }

    /// User properties that conditions read, without the prefix `user.`; `narrow` asks for them by their full names.
    package var userProperties: [ByteString] {
        Set((definition.steps.flatMap(\.filters) + definition.exclusions.flatMap(\.filters)).compactMap(\.userProperty)).sorted()
    }

    /// Whether one event could fill two steps of an attempt, so that rows must be distinguished: two steps admit one name, and
    /// a step need not be later than the step before it.
    package var sharesEvents: Bool { slack.count > 0 && admission.sharesEvents }

    /// Positions that an event of this name can fill, before its properties are tested.
    package func positions(ofEvent name: ByteString) -> StepSet { admission.places(ofEvent: name) }

    /// The positions of `mask` whose conditions hold.
    /// - Parameter property: the event's or user's value of a property; nil if absent.
    package func narrow(_ mask: StepSet, property: (ByteString) throws -> PropertyValue?) rethrows -> StepSet {
        try admission.narrow(mask, property: property)
    }

    /// Exclusions that an event of this name matches, before its properties are tested.
    package func exclusions(ofEvent name: ByteString) -> ExclusionSet { exclusionAdmission.places(ofEvent: name) }

    /// The exclusions of `mask` whose conditions hold.
    package func narrowExclusions(_ mask: ExclusionSet, property: (ByteString) throws -> PropertyValue?) rethrows -> ExclusionSet {
        try exclusionAdmission.narrow(mask, property: property)
    }

    /// The clock value of a time.
    package func ticks(_ microseconds: Int64) -> Int64 { Timestamp.floorDivide(microseconds, tick) }
}

/// Which of up to 64 places (steps or exclusions) an event can take.
private struct EventAdmission: Sendable {
    /// Places by event name.
    private var places: [ByteString: StepSet] = [:]
    /// Places open to any event but profile records.
    private var wildcard = StepSet()
    /// Places with conditions on properties.
    private(set) var filtered = StepSet()
    private var filters: [[Predicate]] = []

    /// The places of a list: for each, its events, the name that `.ownName` means, further names, and conditions.
    init(_ list: [(events: FunnelDefinition.EventSet, ownName: ByteString, more: [ByteString], filters: [Predicate])]) {
        for (i, place) in list.enumerated() {
            var names = place.more
            switch place.events {
            case .ownName: names.append(place.ownName)
            case .named(let own): names += own
            case .any: wildcard.insert(i)
            }
            for name in names where !EventName.isReserved(name) { places[name, default: StepSet()].insert(i) }
            if !place.filters.isEmpty { filtered.insert(i) }
            filters.append(place.filters)
        }
    }

    var named: Set<ByteString> { Set(places.keys) }
    var hasWildcard: Bool { !wildcard.isEmpty }

    var sharesEvents: Bool {
        if !wildcard.isEmpty, filters.count > 1 { return true }
        return places.values.contains(where: \.hasSeveral)
    }

    func places(ofEvent name: ByteString) -> StepSet {
        let own = places[name, default: StepSet()]
        return wildcard.isEmpty || EventName.profiles.contains(name) ? own : own | wildcard
    }

    func narrow(_ mask: StepSet, property: (ByteString) throws -> PropertyValue?) rethrows -> StepSet {
        var left = mask
        for i in mask & filtered {
            if try !filters[i].allSatisfy({ $0.accepts(try property($0.property)) }) { left.remove(i) }
        }
        return left
    }
}
