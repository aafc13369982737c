/// A set of up to 64 steps, by position (0-based).
package struct StepSet: Hashable, Sendable {
    /// Bit i is position i.
    package private(set) var bits: UInt64

    package init(bits: UInt64) { self.bits = bits }

    package init() { bits = 0 }

    /// One position.
    package init(only position: Int) { bits = 1 << UInt64(position) }

    package static let all = StepSet(bits: ~0)

    /// Positions 0 to `count - 1`.
    package static func first(_ count: Int) -> StepSet { StepSet(bits: count >= 64 ? ~0 : (1 << UInt64(count)) - 1) }

    package var isEmpty: Bool { bits == 0 }

    package var count: Int { bits.nonzeroBitCount }

    package var hasSeveral: Bool { bits & (bits &- 1) != 0 }

    /// The first position; 64 in an empty set.
    package var lowest: Int { bits.trailingZeroBitCount }

    /// The position after each of these.
    package var successors: StepSet { StepSet(bits: bits << 1) }

    package func contains(_ position: Int) -> Bool { bits >> UInt64(position) & 1 == 1 }

    package mutating func insert(_ position: Int) { bits |= 1 << UInt64(position) }

    package mutating func remove(_ position: Int) { bits &= ~(1 << UInt64(position)) }

    package mutating func removeLowest() { bits &= bits &- 1 }

    package static func | (a: StepSet, b: StepSet) -> StepSet { StepSet(bits: a.bits | b.bits) }

    package static func & (a: StepSet, b: StepSet) -> StepSet { StepSet(bits: a.bits & b.bits) }

    /// The positions of `a` that are not in `b`.
    package static func - (a: StepSet, b: StepSet) -> StepSet { StepSet(bits: a.bits & ~b.bits) }

    package static func |= (a: inout StepSet, b: StepSet) { a.bits |= b.bits }

    package static func &= (a: inout StepSet, b: StepSet) { a.bits &= b.bits }
}

/// A set of exclusions, by their index in `FunnelPlan.exclusions`.
package typealias ExclusionSet = StepSet

extension StepSet: Sequence {
    /// Ascending.
    package struct Iterator: IteratorProtocol {
        fileprivate var rest: StepSet

        package mutating func next() -> Int? {
            if rest.isEmpty { return nil }
            defer { rest.removeLowest() }
            return rest.lowest
        }
    }

    package func makeIterator() -> Iterator { Iterator(rest: self) }
}
