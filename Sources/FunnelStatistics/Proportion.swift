/// Successes among independent users, the trials.
package struct Proportion: Equatable, Sendable {
    package let successes: UInt64
    package let trials: UInt64

    /// Max number of trials, which bounds the work.
    package static let trialsMax: UInt64 = 1 << 40

    /// Nil unless successes <= trials <= 2^40.
    package init?(_ successes: UInt64, of trials: UInt64) {
        guard successes <= trials, trials <= Self.trialsMax else { return nil }
        self.successes = successes
        self.trials = trials
    }

    /// Nil without trials.
    package var rate: Double? { trials == 0 ? nil : x / n }

    var x: Double { Double(successes) }
    var n: Double { Double(trials) }
    var failures: Double { Double(trials - successes) }
}

/// An interval with low <= high.
package struct Interval: Equatable, Sendable {
    package let low: Double
    package let high: Double
}
