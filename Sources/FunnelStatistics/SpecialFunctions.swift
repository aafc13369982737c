import Glibc

/// Gamma and beta functions, written in terms of deviances instead of differences of large logarithms. So results keep about 12
/// digits at ten million users and down to 1e-300.
package enum SpecialFunctions {
    /// ln Γ(x) for x > 0; NaN elsewhere.
    package static func logGamma(_ x: Double) -> Double {
        guard x > 0 else { return .nan }
        let (value, _): (Double, Int) = lgamma(x)
        return value
    }

    /// The error of Stirling's formula, `ln Γ(x) - [(x - 1/2) ln x - x + ln(2π)/2]`, x > 0 (Abramowitz and Stegun, 1964,
    /// 6.1.41).
    static func stirlingError(_ x: Double) -> Double {
        if x < 10 { return logGamma(x) - (x - 0.5) * log(x) + x - halfLogTwoPi }
        let square = 1 / (x * x)
        let far = 1.0 / 1680 - square * (1.0 / 1188 - square * (691.0 / 360_360 - square / 156))
        return (1.0 / 12 - square * (1.0 / 360 - square * (1.0 / 1260 - square * far))) / x
    }

    /// `x ln(x/m) + m - x` for x >= 0, m > 0, without cancellation (C. Loader, "Fast and accurate computation of binomial
    /// probabilities", 2000, function bd0).
    static func deviance(_ x: Double, _ m: Double) -> Double {
        guard x > 0 else { return m }
        let difference = x - m
        guard abs(difference) < 0.1 * (x + m) else {
            if m < 0.5 * x || m > 2 * x { return x * log(x / m) - difference }
            let t = -difference / x
            return x * (t - log1p(t))
        }
        let ratio = difference / (x + m)
        let square = ratio * ratio
        var sum = difference * ratio
        var term = 2 * x * ratio
        var odd = 3.0
        while true {
            term *= square
            let next = sum + term / odd
            if next == sum { return sum }
            sum = next
            odd += 2
        }
    }

    /// `ln n! - (n ln n - n)`; 0 for n = 0.
    static func logFactorialTail(_ n: Double) -> Double {
        n == 0 ? 0 : halfLogTwoPi + 0.5 * log(n) + stirlingError(n)
    }

    /// ln of the binomial coefficient "n over k"; nil unless 0 <= k <= n.
    package static func logBinomial(_ n: Double, _ k: Double) -> Double? {
        guard k >= 0, k <= n, n.isFinite else { return nil }
        let smaller = min(k, n - k)
        guard smaller > 0 else { return 0 }
        let larger = n - smaller
        return -smaller * log(smaller / n) - larger * log1p(-smaller / n)
            + logFactorialTail(n) - logFactorialTail(smaller) - logFactorialTail(larger)
    }

    /// The regularised upper incomplete gamma function Q(a, x), 0 < a <= 10^6, x >= 0: a series below a + 1, above it a continued
    /// fraction (Abramowitz and Stegun, 1964, 6.5.29 and 6.5.31, by Lentz's method). Nil outside the domain.
    package static func regularizedGammaQ(_ a: Double, _ x: Double) -> Double? {
        guard a > 0, a <= 1e6, x >= 0 else { return nil }
        if x == 0 { return 1 }
        if x == .infinity { return 0 }
        // x^a e^-x / Γ(a)
        let front = exp(-deviance(a, x) - halfLogTwoPi + 0.5 * log(a) - stirlingError(a))
        if x < a + 1 {
            var term = 1 / a
            var sum = term
            var n = a
            while term > sum * 1e-17 {
                n += 1
                term *= x / n
                sum += term
            }
            return max(0, 1 - front * sum)
        }
        var b = x + 1 - a
        var c = Double.infinity
        var d = 1 / b
        var fraction = d
        for step in 1...iterations(a) {
            let n = Double(step)
            let an = -n * (n - a)
            b += 2
            d = 1 / nonzero(an * d + b)
            c = nonzero(b + an / c)
            fraction *= d * c
            if abs(d * c - 1) < 1e-16 { break }
        }
        return front * fraction
    }

    /// The regularised incomplete beta function and its complement, I_x(a, b) and I_y(b, a), each with full precision in its
    /// own tail.
    /// - Parameters: x and y, each 0...1, with x + y = 1, both given so that neither loses digits; a and b, above 0.
    /// - Returns: also `density`: x^a y^b / B(a, b), the density on the scale of ln(x/y).
    ///
    /// Continued fraction of Abramowitz and Stegun, 1964, 26.5.8, in Lentz's form (Press et al., Numerical Recipes, 6.4).
    static func regularizedBeta(x: Double, y: Double, a: Double, b: Double) -> (lower: Double, upper: Double, density: Double) {
        let n = a + b
        let left = x * n < a
        let front = exp(
            -deviance(a, n * x) - deviance(b, n * y) + 0.5 * log(a / n * b) - halfLogTwoPi
                + stirlingError(n) - stirlingError(a) - stirlingError(b))
        guard front > 0, front.isFinite else { return left ? (0, 1, 0) : (1, 0, 0) }
        if left {
            let lower = min(1, front / a * betaFraction(x, a, b))
            return (lower, 1 - lower, front)
        }
        let upper = min(1, front / b * betaFraction(y, b, a))
        return (1 - upper, upper, front)
    }

    private static func betaFraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
        var c = 1.0
        var d = 1 / nonzero(1 - (a + b) * x / (a + 1))
        var fraction = d
        for step in 1...iterations(max(a, b)) {
            let m = Double(step)
            let even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
            d = 1 / nonzero(1 + even * d)
            c = nonzero(1 + even / c)
            fraction *= d * c
            let odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
            d = 1 / nonzero(1 + odd * d)
            c = nonzero(1 + odd / c)
            fraction *= d * c
            if abs(d * c - 1) < 1e-16 { break }
        }
        return fraction
    }

    /// Max number of steps: both fractions need a small multiple of the square root of their parameter.
    private static func iterations(_ size: Double) -> Int { 200 + 20 * Int(min(1e6, size.squareRoot())) }

    private static func nonzero(_ x: Double) -> Double { abs(x) < 1e-300 ? 1e-300 : x }

    static let halfLogTwoPi = 0.918938533204672741780329736406
}
