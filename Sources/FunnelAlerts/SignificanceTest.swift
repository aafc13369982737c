import FunnelStatistics

/// Whether a share differs from that of the weeks before by more than chance explains (`Protocol/STATISTICS.md`, "Alert rules").
struct SignificanceTest {
    private let difference: Double
    private let relative: Double
    /// For one look at one group.
    let pValue: Double
    /// Corrected for groups and rules.
    private(set) var adjusted: Double

    /// The max p-value, without correction, at which a firing goes on.
    static let holdingLevel = 0.05

    /// Nil if a sample has fewer users than the condition asks for.
    init?(_ condition: AlertCondition.Significance, now: AlertSample, before: [AlertSample]) {
        let pooled = before.reduce((count: 0, base: 0)) { ($0.count + $1.count, $0.base + $1.base) } as (count: UInt64, base: UInt64)
        guard now.base >= condition.minSample, pooled.base >= condition.minSample,
            let old = Proportion(pooled.count, of: pooled.base), let new = Proportion(now.count, of: now.base),
            let oldRate = old.rate
        else { return nil }
        let pair = TwoProportions(old, new)
        // Not the z-test alone: far out in the tail, where a corrected level is, the normal distribution is no approximation.
        guard let difference = pair.difference, let exact = pair.fisherExact else { return nil }
        self.difference = difference
        relative = oldRate > 0 ? abs(difference) / oldRate : .infinity
        let scaled = pair.z.map { Normal.twoSided($0 / Self.dispersion(before, rate: oldRate).squareRoot()) }
        pValue = max(exact, scaled ?? 1)
        adjusted = pValue
    }

    /// How much more the weeks differ from each other than chance explains, as a factor of the variance; at least 1.
    private static func dispersion(_ weeks: [AlertSample], rate: Double) -> Double {
        let weeks = weeks.filter { $0.base > 0 }
        let variance = rate * (1 - rate)
        guard weeks.count > 1, variance > 0 else { return 1 }
        let chiSquare = weeks.reduce(0.0) { sum, week in
            let n = Double(week.base)
            let deviation = Double(week.count) - n * rate
            return sum + deviation * deviation / (n * variance)
        }
        return max(1, chiSquare / Double(weeks.count - 1))
    }

    /// Corrects the tests of one rule at one look: Holm over its groups, Bonferroni over the rules.
    static func corrected(_ tests: [SignificanceTest?], rules: Int) -> [SignificanceTest?] {
        let holm = MultipleTesting.holm(tests.map { $0?.pValue })
        return zip(tests, holm).map { test, p in
            guard var test, let p else { return nil }
            test.adjusted = min(1, p * Double(max(1, rules)))
            return test
        }
    }

    func result(_ condition: AlertCondition.Significance) -> AlertOutcome.Result {
        guard condition.direction.contains(difference) else { return .notMet }
        if adjusted <= condition.level, relative >= condition.minChange { return .met }
        return pValue <= Self.holdingLevel ? .holding : .notMet
    }
}
