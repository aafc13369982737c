import Glibc

/// The chi-square distribution.
package enum ChiSquare {
    /// P(X >= x) with k degrees of freedom: Q(k/2, x/2), and for one degree `erfc(√(x/2))`. Nil unless x >= 0 and 1 <= k <=
    /// 2,000,000.
    package static func survival(_ x: Double, degrees: Int) -> Double? {
        guard x >= 0, degrees >= 1 else { return nil }
        return degrees == 1 ? erfc((0.5 * x).squareRoot()) : SpecialFunctions.regularizedGammaQ(0.5 * Double(degrees), 0.5 * x)
    }
}
