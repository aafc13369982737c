import Glibc

/// The distribution of successes among `draws` drawn without replacement from `population`, of which `marked` are successes.
package struct Hypergeometric: Sendable {
    /// The values k with a positive probability.
    package let support: ClosedRange<UInt64>
    /// The most probable value.
    package let mode: UInt64
    private let population, marked, draws: Double
    /// The part of the log mass that is the same for every k.
    private let margins: Double

    /// Nil unless `marked` and `draws` are at most `population`, and that is at most 2^42.
    package init?(population: UInt64, marked: UInt64, draws: UInt64) {
        guard population <= 4 * Proportion.trialsMax, marked <= population, draws <= population else { return nil }
        let low = marked + draws > population ? marked + draws - population : 0
        support = low...min(marked, draws)
        self.population = Double(population)
        self.marked = Double(marked)
        self.draws = Double(draws)
        let center = (self.draws + 1) * (self.marked + 1) / (self.population + 2)
        mode = min(max(UInt64(center), support.lowerBound), support.upperBound)
        margins =
            [marked, population - marked, draws, population - draws].reduce(0) { $0 + SpecialFunctions.logFactorialTail(Double($1)) }
            - SpecialFunctions.logFactorialTail(self.population)
    }

    /// ln P(X = k); -infinity outside the support. Written as half the G statistic of the 2x2 table and Stirling errors, after
    /// Loader (2000), so that its error stays near 1e-14 where factorials themselves are e^(10^8).
    package func logMass(_ k: UInt64) -> Double {
        guard support.contains(k) else { return -.infinity }
        return cells(Double(k)).reduce(margins) { sum, cell in
            let expected = cell.row * cell.column / population
            return sum - SpecialFunctions.logFactorialTail(cell.count)
                - (expected > 0 ? SpecialFunctions.deviance(cell.count, expected) : 0)
        }
    }

    /// P(X <= k).
    package func lowerTail(_ k: UInt64) -> Double {
        if k < support.lowerBound { return 0 }
        if k >= support.upperBound { return 1 }
        if k > mode { return max(0, 1 - upperTail(k + 1)) }
        return min(1, exp(logMass(k)) * relativeSum(from: Double(k), step: -1, to: Double(support.lowerBound)))
    }

    /// P(X >= k).
    package func upperTail(_ k: UInt64) -> Double {
        if k <= support.lowerBound { return 1 }
        if k > support.upperBound { return 0 }
        if k <= mode { return max(0, 1 - lowerTail(k - 1)) }
        return min(1, exp(logMass(k)) * relativeSum(from: Double(k), step: 1, to: Double(support.upperBound)))
    }

    private func cells(_ k: Double) -> [(count: Double, row: Double, column: Double)] {
        [
            (k, marked, draws), (marked - k, marked, population - draws),
            (draws - k, population - marked, draws), (population - marked - draws + k, population - marked, population - draws),
        ]
    }

    /// The sum of the masses from k on, away from the mode, divided by the mass at k. It ends at terms that no longer change
    /// the sum.
    private func relativeSum(from k: Double, step: Double, to end: Double) -> Double {
        var sum = 1.0
        var term = 1.0
        var k = k
        while k != end, term > sum * 1e-18 {
            term *=
                step > 0
                ? (marked - k) * (draws - k) / ((k + 1) * (population - marked - draws + k + 1))
                : k * (population - marked - draws + k) / ((marked - k + 1) * (draws - k + 1))
            sum += term
            k += step
        }
        return sum
    }
}
