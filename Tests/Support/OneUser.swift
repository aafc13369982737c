import FunnelMatch
import FunnelModel

/// The history of one user, matched without storage, for cases and vectors.
package struct OneUser {
    package var events: [Event]

    package init(_ events: [Event]) {
        self.events = events.sorted { a, b in
            if (a.time, a.name, a.id) != (b.time, b.name, b.id) { return (a.time, a.name, a.id) < (b.time, b.name, b.id) }
            return Event.canonicalBytes(a.properties).lexicographicallyPrecedes(Event.canonicalBytes(b.properties))
        }
    }

    package func columns(for plan: FunnelPlan) -> (time: [Int64], mask: [StepSet]) {
        let history = history(for: plan)
        return (history.time, history.mask)
    }

    /// A row for every event.
    package func history(for plan: FunnelPlan) -> UserHistory {
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

    /// What the latest event that identifies the user or sets something says, of those that have the property.
    package func userValue(_ property: ByteString) -> PropertyValue? {
        let said = events.filter { ["$identify", "$set"].contains($0.name) && Self.value($0, property) != nil }
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
        outcome.chain.map { row in
            row < 0 ? nil : Double(max(0, plan.ticks(events[row].time) - plan.ticks(events[outcome.chain[0]].time)) * plan.tick) / 1e6
        }
    }
}
