import FunnelModel

/// A definition resolved for matching: which positions an event can fill, and all distances in ticks.
package struct FunnelPlan: Sendable {
    package let definition: FunnelDefinition
    package let steps: Int
    /// Microseconds of one tick.
    package let tick: Int64
    /// Conversion window in ticks, inclusive.
    package let window: Int64
    /// A step must come later than the step before it less this many ticks; 0 is sequential order.
    package let slack: Int64
    /// Step-1 times that may start an attempt, in microseconds.
    package let entryRange: Range<Int64>
    package let asOf: Int64
    /// Events to read; nil is all of them.
    package let events: [ByteString]?
    /// Positions of each entry of `events`, as bits; with `events` nil, of names that the definition mentions.
    private let positions: [ByteString: UInt64]
    /// Positions open to any event.
    private let wildcard: UInt64
    /// Positions with conditions on properties.
    private let filtered: UInt64

    package init(_ definition: FunnelDefinition, entryRange: Range<Int64>?, asOf: Int64) {
        self.definition = definition
        self.asOf = asOf
        self.entryRange = entryRange ?? Int64.min..<Int64.max
        steps = definition.steps.count
        tick = definition.clock.tick
        window = definition.window / definition.clock.tick
        if case .flexible(let limit) = definition.order { slack = limit / definition.clock.tick } else { slack = 0 }
        var positions: [ByteString: UInt64] = [:]
        var wildcard: UInt64 = 0
        var filtered: UInt64 = 0
        for (i, step) in definition.steps.enumerated() {
            let bit = UInt64(1) << UInt64(i)
            switch step.events {
            case .ownName: positions[step.name, default: 0] |= bit
            case .named(let names): for name in names { positions[name, default: 0] |= bit }
            case .any: wildcard |= bit
            }
            for type in definition.eventTypes where type.step == step.name { positions[type.event, default: 0] |= bit }
            if !step.filters.isEmpty { filtered |= bit }
        }
        self.positions = positions
        self.wildcard = wildcard
        self.filtered = filtered
        events = wildcard == 0 ? positions.keys.sorted() : nil
    }

    package var readsProperties: Bool { filtered != 0 }

    /// Whether one event could fill two steps of an attempt, so that rows must be told apart: some name is admitted by
    /// two, and a step need not be later than the step before it.
    package var sharesEvents: Bool {
        guard slack > 0 else { return false }
        if wildcard != 0, steps > 1 { return true }
        return positions.values.contains { $0 & ($0 &- 1) != 0 }
    }

    /// Positions an event of this name can fill, before its properties are looked at.
    package func positions(ofEvent name: ByteString) -> UInt64 { positions[name, default: 0] | wildcard }

    /// The positions left once the conditions have been checked.
    package func narrow(_ mask: UInt64, property: (ByteString) throws -> PropertyValue?) rethrows -> UInt64 {
        var left = mask
        var check = mask & filtered
        while check != 0 {
            let i = check.trailingZeroBitCount
            check &= check - 1
            if try !definition.steps[i].filters.allSatisfy({ $0.accepts(try property($0.property)) }) { left &= ~(1 << UInt64(i)) }
        }
        return left
    }

    package func ticks(_ microseconds: Int64) -> Int64 { Timestamp.floorDivide(microseconds, tick) }
}

/// What became of one user.
package struct UserOutcome: Equatable, Sendable {
    /// Deepest step reached; 0 if the user never entered.
    package var depth = 0
    /// Rows of the chosen attempt, one per step reached.
    package var chain: [Int] = []
    /// Depth of the deepest attempt that can still go on, of a user who has not converted; 0 is none.
    package var openDepth = 0

    package init(depth: Int = 0, chain: [Int] = [], openDepth: Int = 0) {
        self.depth = depth
        self.chain = chain
        self.openDepth = openDepth
    }
}

package enum MatchError: Error, Equatable, Sendable {
    /// The history needs more work than one user may cost; the query fails rather than guess.
    case workBudget(limit: Int)
    case cancelled
}
