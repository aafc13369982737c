/// A question for predictors of a step (`FUNNEL.md` section 6, "Predictors"). Steps are 1-based.
package struct PredictorQuestion: Equatable, Sendable {
    /// The step whose reaching is the outcome.
    package var step: Int
    /// An earlier step; only users who did it count.
    package var of: Int
    /// Whether values of properties are features, in addition to event names.
    package var properties: Bool

    package init(step: Int, of: Int, properties: Bool) {
        self.step = step
        self.of = of
        self.properties = properties
    }
}

/// Users counted by what they did before a step. Counts of disjoint users add up.
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

        /// Whether these can be a part of `whole`.
        package func isPart(of whole: Users) -> Bool {
            converted <= count && converted <= whole.converted && count <= whole.count
                && count - converted <= whole.count - whole.converted
        }
    }

    /// All users who did step `of`.
    package var whole = Users()
    /// By event name: users who did it.
    package var events: [ByteString: Users] = [:]
    /// By property and `canonical` value: users who did an event with it.
    package var properties: [ByteString: [PropertyValue: Users]] = [:]
    /// Properties with more than `Limits.predictorValues` values.
    package var leftOut: Set<ByteString> = []

    /// Max bytes of a feature on the wire without its name or value.
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
