/// The test whether users were split as planned. A mismatch means that the assignment or the counting is broken, and that the
/// comparison of rates is not valid (A. Fabijan et al., KDD 2019, p. 2156: alarm below 0.0005).
package enum SampleRatio {
    /// Pearson's chi-square p-value of the observed users against the planned shares (K. Pearson, Philosophical Magazine 50,
    /// 1900, p. 157). Shares are positive weights of any sum; nil means equal shares. Nil with fewer than two variants, without
    /// users, or if a share is missing, infinite or not above 0.
    package static func pValue(users: [UInt64], shares: [Double]? = nil) -> Double? {
        let shares = shares ?? users.map { _ in 1 }
        let total = users.reduce(0) { $0 + Double($1) }
        let whole = shares.reduce(0, +)
        guard users.count >= 2, shares.count == users.count, total > 0, whole.isFinite, shares.allSatisfy({ $0 / whole > 0 })
        else { return nil }
        let statistic = zip(users, shares).reduce(0) { sum, pair in
            let expected = total * (pair.1 / whole)
            let distance = Double(pair.0) - expected
            return sum + distance * distance / expected
        }
        return ChiSquare.survival(statistic, degrees: users.count - 1)
    }
}
