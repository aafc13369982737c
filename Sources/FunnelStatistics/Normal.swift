import Glibc

/// The standard normal distribution.
package enum Normal {
    /// The 97.5 % point, for two-sided intervals of 95 %.
    package static let z95 = 1.959963984540054

    /// P(Z <= x), with full precision in the lower tail.
    package static func cdf(_ x: Double) -> Double { 0.5 * erfc(-x * 0.5.squareRoot()) }

    /// P(Z > x), with full precision in the upper tail.
    package static func survival(_ x: Double) -> Double { cdf(-x) }

    /// P(|Z| >= |z|).
    package static func twoSided(_ z: Double) -> Double { erfc(abs(z) * 0.5.squareRoot()) }

    /// The x with `cdf(x) = p` (M. J. Wichura, Algorithm AS 241, Applied Statistics 37, 1988, p. 477, PPND16: about 16 digits).
    /// For the upper tail take `-quantile(q)` of the upper probability q. Nil unless 0 < p < 1.
    package static func quantile(_ p: Double) -> Double? {
        guard p > 0, p < 1 else { return nil }
        let q = p - 0.5
        if abs(q) <= 0.425 { return q * ratio(central, 0.180625 - q * q) }
        let r = (-log(min(p, 1 - p))).squareRoot()
        let x = r <= 5 ? ratio(middle, r - 1.6) : ratio(tail, r - 5)
        return q < 0 ? -x : x
    }

    private typealias Coefficients = (above: [Double], below: [Double])

    private static func ratio(_ coefficients: Coefficients, _ x: Double) -> Double {
        func polynomial(_ list: [Double]) -> Double { list.reversed().reduce(0) { $0 * x + $1 } }
        return polynomial(coefficients.above) / polynomial(coefficients.below)
    }

    private static let central: Coefficients = (
        [
            3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
            4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3,
        ],
        [
            1, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
            2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3,
        ]
    )
    private static let middle: Coefficients = (
        [
            1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
            1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4,
        ],
        [
            1, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
            1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9,
        ]
    )
    private static let tail: Coefficients = (
        [
            6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
            2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7,
        ],
        [
            1, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
            7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15,
        ]
    )
}
