/// The Wilson score interval of 95 %, without continuity correction (E. B. Wilson, JASA 22, 1927, p. 209).
package enum Wilson {
    /// The interval of a rate.
    /// - Returns: low and high, each 0...1; nil without trials or with more successes than trials.
    package static func interval(successes: UInt64, trials: UInt64) -> (low: Double, high: Double)? {
        guard trials > 0, successes <= trials else { return nil }
        let z = Normal.z95
        let n = Double(trials)
        let p = Double(successes) / n
        let z2 = z * z
        let center = (p + z2 / (2 * n)) / (1 + z2 / n)
        let half = z / (1 + z2 / n) * (p * (1 - p) / n + z2 / (4 * n * n)).squareRoot()
        return (successes == 0 ? 0 : max(0, center - half), successes == trials ? 1 : min(1, center + half))
    }
}
