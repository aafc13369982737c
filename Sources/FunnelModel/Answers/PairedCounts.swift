/// The users of two funnels, by what they did in both; those of disjoint users add up.
package struct PairedCounts: Equatable, Sendable {
    /// Users who entered both, by whether they converted.
    package var neither: UInt64 = 0
    package var firstOnly: UInt64 = 0
    package var secondOnly: UInt64 = 0
    package var both: UInt64 = 0
    /// Users who entered one funnel and not the other.
    package var aloneInFirst = Alone()
    package var aloneInSecond = Alone()

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

    /// All eight, in the order in which they travel.
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
