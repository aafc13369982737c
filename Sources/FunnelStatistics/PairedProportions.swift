import Glibc

/// Two yes/no outcomes of the same users, such as two funnels over one population. A test for independent samples would be
/// wrong here.
package struct PairedProportions: Equatable, Sendable {
    package let both: UInt64
    package let firstOnly: UInt64
    package let secondOnly: UInt64
    package let neither: UInt64

    /// Nil if there are more than 2^40 users.
    package init?(both: UInt64, firstOnly: UInt64, secondOnly: UInt64, neither: UInt64) {
        var total: UInt64 = 0
        for count in [both, firstOnly, secondOnly, neither] {
            guard count <= Proportion.trialsMax - total else { return nil }
            total += count
        }
        self.both = both
        self.firstOnly = firstOnly
        self.secondOnly = secondOnly
        self.neither = neither
    }

    private var users: UInt64 { both + firstOnly + secondOnly + neither }

    /// p2 - p1 = (second only - first only) / users; nil without users.
    package var difference: Double? {
        users == 0 ? nil : (Double(secondOnly) - Double(firstOnly)) / Double(users)
    }

    /// 95 % of the difference: Newcombe's paired score interval (R. G. Newcombe, Statistics in Medicine 17, 1998, p. 2635,
    /// method 10: Wilson intervals of both rates, joined by a correlation with continuity correction). Nil without users.
    package var differenceInterval: Interval? {
        let (n, x1, x2) = (Double(users), Double(both + firstOnly), Double(both + secondOnly))
        guard let d = difference,
            let w1 = Wilson.interval(successes: both + firstOnly, trials: users),
            let w2 = Wilson.interval(successes: both + secondOnly, trials: users)
        else { return nil }
        let margins = (x1 * (n - x1)).squareRoot() * (x2 * (n - x2)).squareRoot()
        let covariance = Double(both) * Double(neither) - Double(firstOnly) * Double(secondOnly)
        let corrected = covariance > 0 ? max(0, covariance - n / 2) : covariance
        let correlation = margins > 0 ? corrected / margins : 0
        func joined(_ a: Double, _ b: Double) -> Double { max(0, a * a - 2 * correlation * a * b + b * b).squareRoot() }
        return Interval(
            low: max(-1, d - joined(x2 / n - w2.low, w1.high - x1 / n)), high: min(1, d + joined(w2.high - x2 / n, x1 / n - w1.low)))
    }

    /// McNemar's test (Q. McNemar, Psychometrika 12, 1947, p. 153) in its exact form: twice the smaller tail of the binomial
    /// distribution of the discordant users with 1/2, at most 1. Nil without users; 1 without discordant ones.
    package var mcNemarExact: Double? {
        guard users > 0 else { return nil }
        let (n, k) = (Double(firstOnly + secondOnly), Double(min(firstOnly, secondOnly)))
        // P(X <= k) = I_1/2(n - k, k + 1); with k = n/2 it is over 1/2.
        return firstOnly == secondOnly ? 1 : min(1, 2 * SpecialFunctions.regularizedBeta(x: 0.5, y: 0.5, a: n - k, b: k + 1).lower)
    }

    /// McNemar's test by chi-square with one degree of freedom, (|b - c| - 1)² / (b + c) (A. L. Edwards, Psychometrika 13,
    /// 1948, p. 185), or without the 1. Nil without discordant users.
    package func mcNemarChiSquare(continuityCorrection: Bool = true) -> Double? {
        let discordant = Double(firstOnly + secondOnly)
        guard discordant > 0 else { return nil }
        let distance = abs(Double(firstOnly) - Double(secondOnly)) - (continuityCorrection ? 1 : 0)
        return ChiSquare.survival(distance * distance / discordant, degrees: 1)
    }
}
