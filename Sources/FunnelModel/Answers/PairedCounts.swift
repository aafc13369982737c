/// Users counted by their outcomes in two funnels. Counts of disjoint users add up.
package struct PairedCounts: Equatable, Sendable {
    /// Of the users who entered both funnels, those who converted in neither.
    package var neither: UInt64 = 0
    package var firstOnly: UInt64 = 0
    package var secondOnly: UInt64 = 0
    package var both: UInt64 = 0
    /// Users who entered only the first funnel.
    package var aloneInFirst = Alone()
    /// Users who entered only the second funnel.
    package var aloneInSecond = Alone()

    /// Users of one funnel.
    package struct Alone: Equatable, Sendable {
        package var entered: UInt64 = 0
        package var converted: UInt64 = 0

        package init(entered: UInt64 = 0, converted: UInt64 = 0) {
            self.entered = entered
            self.converted = converted
        }
    }

    package init() {}

    package var enteredBoth: UInt64 { neither + firstOnly + secondOnly + both }
    package var first: Alone {
        Alone(entered: enteredBoth + aloneInFirst.entered, converted: firstOnly + both + aloneInFirst.converted)
    }
    package var second: Alone {
        Alone(entered: enteredBoth + aloneInSecond.entered, converted: secondOnly + both + aloneInSecond.converted)
    }

    /// All eight counts, in the order of the wire format.
    package static var fields: [WritableKeyPath<PairedCounts, UInt64>] {
        [
            \.neither, \.firstOnly, \.secondOnly, \.both, \.aloneInFirst.entered, \.aloneInFirst.converted,
            \.aloneInSecond.entered, \.aloneInSecond.converted,
        ]
    }

    package mutating func merge(_ other: PairedCounts) {
        for field in Self.fields { self[keyPath: field] += other[keyPath: field] }
    }
}
