import Glibc

/// Two independent samples, such as variants of an experiment. `first` is the reference; differences are second - first.
package struct TwoProportions: Equatable, Sendable {
    package let first: Proportion
    package let second: Proportion

    package init(_ first: Proportion, _ second: Proportion) {
        self.first = first
        self.second = second
    }

    /// The two-sided test of equal rates.
    package enum Method: String, Sendable {
        case twoProportionZ = "two_proportion_z"
        case fisherExact = "fisher_exact"
    }

    /// p2 - p1; nil if a sample is empty.
    package var difference: Double? {
        guard first.trials > 0, second.trials > 0 else { return nil }
        // Quotients of counts are rounded, products are exact: so rates that hardly differ keep their digits.
        let cross = Int128(second.successes) * Int128(first.trials) - Int128(first.successes) * Int128(second.trials)
        return Double(cross) / (first.n * second.n)
    }

    /// 95 % interval of the difference: Newcombe's hybrid score interval (R. G. Newcombe, Statistics in Medicine 17, 1998, p.
    /// 873, method 10). Nil if a sample is empty; valid also if all or none succeed.
    package var differenceInterval: Interval? {
        guard let d = difference, let p1 = first.rate, let p2 = second.rate,
            let w1 = Wilson.interval(successes: first.successes, trials: first.trials),
            let w2 = Wilson.interval(successes: second.successes, trials: second.trials)
        else { return nil }
        return Interval(low: max(-1, d - hypot(p2 - w2.low, w1.high - p1)), high: min(1, d + hypot(w2.high - p2, p1 - w1.low)))
    }

    /// The relative lift, p2 / p1 - 1, which is the relative risk minus 1. Nil if a sample is empty or the first has no
    /// successes.
    package var lift: Double? {
        guard let d = difference, let p1 = first.rate, p1 > 0 else { return nil }
        return d / p1
    }

    /// 95 % interval of the lift, by the normal approximation of the log relative risk (D. Katz et al., Biometrics 34, 1978, p.
    /// 469, method C). Nil if a sample has no successes, or both have no failures.
    package var liftInterval: Interval? {
        guard let p1 = first.rate, let p2 = second.rate, p1 > 0, p2 > 0, p1 < 1 || p2 < 1 else { return nil }
        let half = Normal.z95 * (first.failures / first.n / first.x + second.failures / second.n / second.x).squareRoot()
        let center = log(p2 / p1)
        return Interval(low: expm1(center - half), high: expm1(center + half))
    }

    /// The pooled two-proportion z statistic without continuity correction, (p2 - p1) / √(p(1-p)(1/n1 + 1/n2)); its square is
    /// the chi-square of the 2x2 table (K. Pearson, Philosophical Magazine 50, 1900, p. 157). Nil if a sample is empty, or if
    /// all users or none succeed.
    package var z: Double? {
        guard let d = difference else { return nil }
        let (successes, failures) = (first.x + second.x, first.failures + second.failures)
        guard successes > 0, failures > 0 else { return nil }
        return d / (successes / (first.n * second.n) * (failures / (first.n + second.n))).squareRoot()
    }

    /// Two-sided p-value of `z`; nil if `z` is.
    package var zTest: Double? { z.map(Normal.twoSided) }

    /// Fisher's exact test, two-sided: the probability of all tables with these margins that are at most as probable as the
    /// observed one (R. A. Fisher, J. Royal Statistical Society 98, 1935, p. 39). As in R, probabilities within a relative 1e-7
    /// of it count as equal. Nil if a sample is empty; 1 if all users or none succeed.
    package var fisherExact: Double? {
        guard first.trials > 0, second.trials > 0,
            let tables = Hypergeometric(
                population: first.trials + second.trials, marked: first.trials, draws: first.successes + second.successes)
        else { return nil }
        let limit = tables.logMass(first.successes) + 1e-7
        if tables.logMass(tables.mode) <= limit { return 1 }
        // The masses fall on each side of the mode; find the innermost k that is at most as probable as the observed one.
        let lower = partition(tables.support.lowerBound, tables.mode) { tables.logMass($0) > limit }
        let upper = partition(tables.mode, tables.support.upperBound + 1) { tables.logMass($0) <= limit }
        return min(1, (lower > tables.support.lowerBound ? tables.lowerTail(lower - 1) : 0) + tables.upperTail(upper))
    }

    /// Fisher's test if an expected count is under 5 (W. G. Cochran, Biometrics 10, 1954, p. 417), else the z-test. Nil if a
    /// sample is empty.
    package var test: (pValue: Double, method: Method)? {
        let smallest = min(first.n, second.n) * min(first.x + second.x, first.failures + second.failures) / (first.n + second.n)
        if smallest >= 5, let p = zTest { return (p, .twoProportionZ) }
        return fisherExact.map { ($0, .fisherExact) }
    }

    /// The smallest k in low..<high for which the condition holds, or `high` if there is none. It must hold from some k on.
    private func partition(_ low: UInt64, _ high: UInt64, _ holds: (UInt64) -> Bool) -> UInt64 {
        var (low, high) = (low, high)
        while low < high {
            let middle = low + (high - low) / 2
            if holds(middle) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
