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

    package func columns(for plan: FunnelPlan) -> (time: [Int64], mask: [UInt64]) {
        let masks = events.map { event in
            plan.narrow(plan.positions(ofEvent: event.name)) { key in
                event.properties.last { $0.key == key }?.value
            }
        }
        return (events.map(\.time), masks)
    }

    /// Outcome and seconds of each row of the chosen attempt from step 1.
    package func match(_ definition: FunnelDefinition, asOf: Int64 = 1 << 59) throws -> (UserOutcome, [Double]) {
        let plan = FunnelPlan(definition, entryRange: nil, asOf: asOf)
        let (time, mask) = columns(for: plan)
        var matcher = UserMatcher(plan)
        let outcome = try matcher.match(time: time, mask: mask)
        let first = outcome.chain.first.map { plan.ticks(time[$0]) } ?? 0
        let seconds = outcome.chain.map { Double(max(0, plan.ticks(time[$0]) - first) * plan.tick) / 1e6 }
        return (outcome, seconds)
    }
}
