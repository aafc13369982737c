import FunnelMatch
import FunnelModel

/// The history of one user, matched without storage, for cases and vectors.
package struct OneUser {
    package private(set) var events: [Event]
    /// All of them, for the values of user properties.
    private let records: [Event]

    package init(_ events: [Event]) {
        records = events.sorted { a, b in
            if (a.time, a.name, a.id) != (b.time, b.name, b.id) { return (a.time, a.name, a.id) < (b.time, b.name, b.id) }
            return Event.canonicalBytes(a.properties).lexicographicallyPrecedes(Event.canonicalBytes(b.properties))
        }
        self.events = records
    }

    /// The user as a definition sees it: without the profile records that no step or exclusion names.
    package func seen(by plan: FunnelPlan) -> OneUser {
        let definition = plan.definition
        var named = Set(definition.eventTypes.map(\.event))
        for (set, own) in definition.steps.map({ ($0.events, $0.name) }) + definition.exclusions.map({ ($0.events, "") }) {
            switch set {
            case .ownName: named.insert(own)
            case .named(let names): named.formUnion(names)
            case .any: break
            }
        }
        let profiles: Set<ByteString> = ["$identify", "$set", "$set_once", "$groupidentify"]
        var seen = self
        seen.events.removeAll { profiles.contains($0.name) && !named.contains($0.name) }
        return seen
    }

    package func columns(for plan: FunnelPlan) -> (time: [Int64], mask: [StepSet]) {
        let history = history(for: plan)
        return (history.time, history.mask)
    }

    /// A row for every event; a profile record is one only if the plan names it.
    package func history(for plan: FunnelPlan) -> UserHistory {
        let events = seen(by: plan).events
        var codes: [PropertyValue: Int32] = [:]
        func code(_ event: Event, _ property: ByteString) -> Int32 {
            guard let value = Self.value(event, property)?.canonical else { return -1 }
            let code = codes[value] ?? Int32(codes.count)
            codes[value] = code
            return code
        }
        return UserHistory(
            time: events.map(\.time),
            mask: events.map { event in plan.narrow(plan.positions(ofEvent: event.name)) { value(event, $0) } },
            excluded: events.map { event in plan.narrowExclusions(plan.exclusions(ofEvent: event.name)) { value(event, $0) } },
            held: plan.heldProperties.map { property in events.map { code($0, property) } },
            unit: plan.unitProperty.map { property in events.map { code($0, property) } } ?? [])
    }

    /// Of a property of the event or, as `user.<name>`, of the user.
    package func value(_ event: Event, _ property: ByteString) -> PropertyValue? {
        property.userPropertyName.map(userValue) ?? Self.value(event, property)
    }

    /// What the latest event that identifies the user or sets something says, of those that have the property, or else the first that
    /// sets it once.
    package func userValue(_ property: ByteString) -> PropertyValue? {
        let said = records.filter { ["$identify", "$set"].contains($0.name) && Self.value($0, property) != nil }
        if said.isEmpty {
            let once = records.filter { $0.name == "$set_once" && Self.value($0, property) != nil }
            let first = once.map { ($0.time, $0.id) }.min { $0 < $1 }
            return once.first { event in first.map { $0 == (event.time, event.id) } ?? false }.flatMap { Self.value($0, property) }
        }
        let latest = said.map { ($0.time, $0.id) }.max { $0 < $1 }
        return said.last { event in latest.map { $0 == (event.time, event.id) } ?? false }.flatMap { Self.value($0, property) }
    }

    private static func value(_ event: Event, _ property: ByteString) -> PropertyValue? {
        event.properties.last { $0.key == property }?.value
    }

    package func matched(_ plan: FunnelPlan) throws -> [UserOutcome] {
        var matcher = RuleMatcher(plan)
        var outcomes: [UserOutcome] = []
        try matcher.match(history(for: plan)) { outcomes.append($0) }
        return outcomes
    }

    /// What the reference makes of the user.
    package func outcomes(_ plan: FunnelPlan) -> [UserOutcome] { ReferenceMatcher(plan).outcomes(of: history(for: plan)) }

    /// By row of the chosen attempt, seconds from step 1; nil where an optional step was not done.
    package func seconds(_ outcome: UserOutcome, _ plan: FunnelPlan) -> [Double?] {
        let events = seen(by: plan).events
        return outcome.chain.map { row in
            row < 0 ? nil : Double(max(0, plan.ticks(events[row].time) - plan.ticks(events[outcome.chain[0]].time)) * plan.tick) / 1e6
        }
    }
}
