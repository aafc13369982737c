import FunnelModel

/// A definition resolved for matching: which positions an event can fill, and all distances in ticks. Positions count
/// from 0.
package struct FunnelPlan: Sendable {
    package let definition: FunnelDefinition
    package let steps: Int
    /// Microseconds of one tick.
    package let tick: Int64
    /// Conversion window in ticks, inclusive.
    package let window: Int64
    /// A step must come later than the step before it less this many ticks; 0 is sequential order, strict too. Means
    /// nothing in any order.
    package let slack: Int64
    /// By position: ticks from the previous matched step, inclusive; nil is no bound but the funnel's.
    package let stepWindow: [Int64?]
    /// Positions that a chain may skip, as bits.
    package let optional: UInt64
    package let exclusions: [Exclusion]
    /// `held[h][i]`: index in `heldProperties` of what an event at position i must share with all others.
    package let held: [[Int]]
    /// Ticks; the longest pause within a session.
    package let sessionGap: Int64
    /// Step-1 times that may start an attempt, in microseconds.
    package let entryRange: Range<Int64>
    package let asOf: Int64

    /// Events to read; nil is all of them.
    package let events: [ByteString]?
    /// Properties of events whose codes a history must bring (`UserHistory.held`).
    package let heldProperties: [ByteString]
    private let admission: EventAdmission
    private let exclusionAdmission: EventAdmission

    /// What an event must not come between.
    package struct Exclusion: Equatable, Sendable {
        /// Positions.
        package let after: Int
        package let before: Int
        package let dropsUser: Bool
    }

    package init(_ definition: FunnelDefinition, entryRange: Range<Int64>?, asOf: Int64) {
        self.definition = definition
        self.asOf = asOf
        self.entryRange = entryRange ?? Int64.min..<Int64.max
        let tick = definition.clock.tick
        self.tick = tick
        steps = definition.steps.count
        window = definition.window / tick
        if case .flexible(let limit) = definition.order { slack = limit / tick } else { slack = 0 }
        stepWindow = definition.steps.map { step in step.window.map { $0 / tick } }
        sessionGap = definition.sessionGap / tick
        var optional: UInt64 = 0
        for (i, step) in definition.steps.enumerated() where step.isOptional { optional |= 1 << UInt64(i) }
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
        let everyEvent = definition.order == .strict || definition.countBy == .sessions
        if let names = admission.names, let more = exclusionAdmission.names, !everyEvent {
            events = names.union(more).sorted()
        } else {
            events = nil
        }
    }

    /// Only the rules that `UserMatcher` and the kernels know: plain chains, one outcome per user. Anything else is for
    /// whoever takes a `UserHistory`.
    package var isPlain: Bool { hasPlainChains && !isNarrowed && definition.countBy == .users }

    /// Whether there are rules that only take chains away: exclusions, held properties.
    package var isNarrowed: Bool { !exclusions.isEmpty || !held.isEmpty }

    /// Sequential or flexible order, the funnel's window and the conditions of steps; whatever is counted, and whether or
    /// not chains are taken away.
    package var hasPlainChains: Bool {
        definition.order != .strict && definition.order != .any && optional == 0 && stepWindow.allSatisfy { $0 == nil }
    }

    /// Whether a history must have a row for every event of the user, of any name: strict order and sessions look at
    /// events that fill nothing.
    package var needsEveryEvent: Bool { definition.order == .strict || definition.countBy == .sessions }

    package var readsProperties: Bool { admission.filtered != 0 }

    package var exclusionsReadProperties: Bool { exclusionAdmission.filtered != 0 }

    /// The property whose codes `UserHistory.unit` holds.
    package var unitProperty: ByteString? {
        if case .property(let name) = definition.countBy { return name }
        return nil
    }

    /// Properties of users that conditions ask for, without `user.`; `narrow` asks for them by their full names.
    package var userProperties: [ByteString] {
        Set((definition.steps.flatMap(\.filters) + definition.exclusions.flatMap(\.filters)).compactMap(\.userProperty)).sorted()
    }

    /// Whether one event could fill two steps of an attempt, so that rows must be told apart: some name is admitted by
    /// two, and a step need not be later than the step before it.
    package var sharesEvents: Bool { slack > 0 && admission.sharesEvents }

    /// Positions an event of this name can fill, before its properties are looked at.
    package func positions(ofEvent name: ByteString) -> UInt64 { admission.places(ofEvent: name) }

    /// The positions left once the conditions have been checked.
    package func narrow(_ mask: UInt64, property: (ByteString) throws -> PropertyValue?) rethrows -> UInt64 {
        try admission.narrow(mask, property: property)
    }

    /// Exclusions that an event of this name matches, as bits, before its properties are looked at.
    package func exclusions(ofEvent name: ByteString) -> UInt64 { exclusionAdmission.places(ofEvent: name) }

    /// The exclusions left once their conditions have been checked.
    package func narrowExclusions(_ mask: UInt64, property: (ByteString) throws -> PropertyValue?) rethrows -> UInt64 {
        try exclusionAdmission.narrow(mask, property: property)
    }

    package func ticks(_ microseconds: Int64) -> Int64 { Timestamp.floorDivide(microseconds, tick) }
}

/// Which of up to 64 places, steps or exclusions, an event can take, as bits.
private struct EventAdmission: Sendable {
    /// Places by event name.
    private var places: [ByteString: UInt64] = [:]
    /// Places open to any event.
    private var wildcard: UInt64 = 0
    /// Places with conditions on properties.
    private(set) var filtered: UInt64 = 0
    private var filters: [[Predicate]] = []

    /// - Parameter list: of each place, its events, the name that `ownName` stands for, further names, conditions.
    init(_ list: [(events: FunnelDefinition.EventSet, ownName: ByteString, more: [ByteString], filters: [Predicate])]) {
        for (i, place) in list.enumerated() {
            let bit = UInt64(1) << UInt64(i)
            var names = place.more
            switch place.events {
            case .ownName: names.append(place.ownName)
            case .named(let own): names += own
            case .any: wildcard |= bit
            }
            for name in names { places[name, default: 0] |= bit }
            if !place.filters.isEmpty { filtered |= bit }
            filters.append(place.filters)
        }
    }

    /// Names that take a place; nil is all of them.
    var names: Set<ByteString>? { wildcard == 0 ? Set(places.keys) : nil }

    var sharesEvents: Bool {
        if wildcard != 0, filters.count > 1 { return true }
        return places.values.contains { $0 & ($0 &- 1) != 0 }
    }

    func places(ofEvent name: ByteString) -> UInt64 { places[name, default: 0] | wildcard }

    func narrow(_ mask: UInt64, property: (ByteString) throws -> PropertyValue?) rethrows -> UInt64 {
        var left = mask
        var check = mask & filtered
        while check != 0 {
            let i = check.trailingZeroBitCount
            check &= check - 1
            if try !filters[i].allSatisfy({ $0.accepts(try property($0.property)) }) { left &= ~(1 << UInt64(i)) }
        }
        return left
    }
}
