import FunnelModel

/// The rules about properties, as tables by property and event. Both have numbers here, so that no text is compared for each row.
struct PropertyTables: Sendable {
    /// No property or event that a rule names.
    static let none = UInt32.max

    /// A property of an event.
    private struct Place: Hashable {
        var property: UInt32
        var event: UInt32
    }

    struct Rename: Sendable {
        var property: UInt32
        /// Of several properties of an event that get one name, that of the lowest rank stays.
        var rank: Int
    }

    struct Cast: Sendable {
        var target: CastTarget
        var failure: CastFailure
        /// Position of the rule.
        var rule: Int
    }

    struct Default: Sendable {
        var property: UInt32
        var value: PropertyValue
    }

    /// What rules do with a property, before `default_property`.
    struct Plan: Sendable {
        var rename: Rename?
        var isDropped = false
        var cast: Cast?
    }

    /// By number.
    private(set) var properties: [ByteString] = []
    private var propertyNumbers: [ByteString: UInt32] = [:]
    private var eventNumbers: [ByteString: UInt32] = [:]
    /// By number of the property: the rules for all events.
    private var plans: [Plan] = []
    /// By number of the property: whether a rule is for some events only.
    private var hasOwnPlan: [Bool] = []
    private var ownPlans: [Place: Plan] = [:]
    private var defaults: [Default] = []
    /// For events with defaults of their own: theirs, then those of all events that they do not replace.
    private var ownDefaults: [UInt32: [Default]] = [:]

    init(_ rules: [EventRule]) {
        var rank = 0
        /// By event, its own defaults: positions in `own`.
        var ownOfEvents: [UInt32: [Int]] = [:]
        var own: [Default] = []
        for (i, rule) in rules.enumerated() {
            switch rule {
            case .renameProperties(let names, let name, let events):
                let target = number(ofProperty: name)
                for name in names {
                    change(name, events) { $0.rename = Rename(property: target, rank: rank) }
                    rank += 1
                }
            case .dropProperties(let names, let events):
                for name in names { change(name, events) { $0.isDropped = true } }
            case .castProperties(let names, let target, let failure, let events):
                for name in names { change(name, events) { $0.cast = Cast(target: target, failure: failure, rule: i) } }
            case .defaultProperty(let name, let value, let events):
                let entry = Default(property: number(ofProperty: name), value: value)
                if let events {
                    for event in events { ownOfEvents[number(ofEvent: event), default: []].append(own.count) }
                    own.append(entry)
                } else {
                    defaults.append(entry)
                }
            case .replacePrefix, .lowerCaseEvents, .renameEvents, .dropEvents, .missingTimestamp: break
            }
        }
        for (place, own) in ownPlans {
            let all = plans[Int(place.property)]
            ownPlans[place] = Plan(
                rename: own.rename ?? all.rename, isDropped: own.isDropped || all.isDropped, cast: own.cast ?? all.cast)
        }
        // Events with the same rules share one list.
        var lists: [[Int]: [Default]] = [:]
        for (event, places) in ownOfEvents {
            let mine = places.map { own[$0] }
            let list = lists[places] ?? mine + defaults.filter { entry in !mine.contains { $0.property == entry.property } }
            lists[places] = list
            ownDefaults[event] = list
        }
    }

    private mutating func number(ofProperty name: ByteString) -> UInt32 {
        if let known = propertyNumbers[name] { return known }
        let number = UInt32(truncatingIfNeeded: properties.count)
        propertyNumbers[name] = number
        properties.append(name)
        plans.append(Plan())
        hasOwnPlan.append(false)
        return number
    }

    private mutating func number(ofEvent name: ByteString) -> UInt32 {
        if let known = eventNumbers[name] { return known }
        let number = UInt32(truncatingIfNeeded: eventNumbers.count)
        eventNumbers[name] = number
        return number
    }

    private mutating func change(_ name: ByteString, _ events: [ByteString]?, _ change: (inout Plan) -> Void) {
        let property = number(ofProperty: name)
        guard let events else { return change(&plans[Int(property)]) }
        hasOwnPlan[Int(property)] = true
        for event in events { change(&ownPlans[Place(property: property, event: number(ofEvent: event)), default: Plan()]) }
    }

    // MARK: - Look-up

    var isEmpty: Bool { properties.isEmpty }

    /// The number of a property; `none` if no rule names it.
    func property(_ name: ByteString) -> UInt32 { propertyNumbers[name] ?? Self.none }

    /// The number of an event; `none` if no rule names it.
    func event(_ name: ByteString) -> UInt32 { eventNumbers[name] ?? Self.none }

    /// A rule that names the event comes before one for all.
    func plan(_ property: UInt32, of event: UInt32) -> Plan {
        if hasOwnPlan[Int(property)], event != Self.none, let own = ownPlans[Place(property: property, event: event)] { return own }
        return plans[Int(property)]
    }

    /// Defaults of an event that is no profile record.
    func defaults(of event: UInt32) -> [Default] { ownDefaults[event] ?? defaults }
}
