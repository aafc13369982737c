/// What is asked about what comes before a step (`Protocol/FUNNEL.md`, section 6). Steps count from 1.
package struct PredictorQuestion: Equatable, Sendable {
    /// Reaching it is the outcome.
    package var step: Int
    /// Only users who did this earlier step count.
    package var of: Int
    /// Whether values of properties count as well as names of events.
    package var properties: Bool

    package init(step: Int, of: Int, properties: Bool) {
        self.step = step
        self.of = of
        self.properties = properties
    }
}

/// Users by what they did before a step; those of disjoint users add up.
package struct PredictorCounts: Equatable, Sendable {
    package struct Users: Equatable, Sendable {
        package var count: UInt64 = 0
        /// Those of them who reached the step.
        package var converted: UInt64 = 0

        package init(_ count: UInt64 = 0, converted: UInt64 = 0) {
            self.count = count
            self.converted = converted
        }

        package static func + (a: Users, b: Users) -> Users { Users(a.count + b.count, converted: a.converted + b.converted) }

        /// Whether these can be some of `whole`.
        package func isPart(of whole: Users) -> Bool {
            converted <= count && converted <= whole.converted && count <= whole.count
                && count - converted <= whole.count - whole.converted
        }
    }

    /// All who count.
    package var whole = Users()
    /// Users who did an event, by its name.
    package var events: [ByteString: Users] = [:]
    /// Users who did an event with a value of a property; the values are `canonical`.
    package var properties: [ByteString: [PropertyValue: Users]] = [:]
    /// Properties with more than `Limits.predictorValues` values.
    package var leftOut: Set<ByteString> = []

    /// Bytes of a feature on the wire, at most, without its name or value.
    package static let bytesPerFeature = 2 + 2 * 7

    package init() {}

    package mutating func merge(_ other: PredictorCounts) {
        whole = whole + other.whole
        events.merge(other.events, uniquingKeysWith: +)
        leftOut.formUnion(other.leftOut)
        for (property, values) in other.properties {
            properties[property, default: [:]].merge(values, uniquingKeysWith: +)
            if properties[property]?.count ?? 0 > Limits.predictorValues { leftOut.insert(property) }
        }
        for property in leftOut { properties[property] = nil }
    }
}
