import Glibc

/// A test of equal rates that is valid at any time and for any number of looks.
///
/// For a common rate p, let an alternative draw both rates independently from Beta(κp, κ(1-p)). The likelihood
/// of all outcomes so far under that mixture, divided by their likelihood under p,
///
///     M(p) = Σ w(κ) Π over samples of B(κp + x, κ(1-p) + n - x) / B(κp, κ(1-p)) / (p^x (1-p)^(n-x)),
///
/// is a martingale with mean 1 if p is the true common rate, for any order in which users of the two samples come
/// (H. Robbins, Annals of Mathematical Statistics 41, 1970, p. 1397). The min of M(p) over all p is never above M at the true
/// p. So by Ville's inequality it ever reaches 1/α with a probability of at most α. Its inverse is an always valid p-value (R.
/// Johari et al., Operations Research 70, 2022, p. 1806; A. Ramdas et al., Statistical Science 38, 2023, p. 576, on e-processes
/// of composite nulls). There is no approximation, so small counts are safe. The outcome of a counted user must be final: users
/// whose window is still open belong in neither count.
/// ln M(p) is convex in p: for each sample it is a sum of ln(κ + i/p), ln(κ + j/(1-p)) and constants, each convex or constant,
/// and sums of log-convex functions are log-convex. So the minimum found by descent is the global one.
package enum SequentialTest {
    /// Strengths κ of the prior, in users: a rate p is expected to differ from the common one by about √(p(1-p)/κ). They suit
    /// decisions at about a thousand, twenty thousand and three hundred thousand users a sample. Their weights are equal.
    private static let strengths = [250.0, 4_000, 64_000]

    /// The p-value from the counts at one look. It is valid at any stopping time, and so is the min over all looks. Nil if a
    /// sample is empty; 1 if all users or none succeed.
    package static func pValue(_ pair: TwoProportions) -> Double? {
        guard pair.first.trials > 0, pair.second.trials > 0 else { return nil }
        let successes = pair.first.x + pair.second.x
        let failures = pair.first.failures + pair.second.failures
        guard successes > 0, failures > 0 else { return 1 }
        let center = log((successes + 0.5) / (failures + 0.5))
        let unit = (1 / (successes + 0.5) + 1 / (failures + 0.5)).squareRoot()
        let evidence = minimum(around: center, unit: unit) { logMixture(pair, logOdds: $0) }
        return evidence <= 0 ? 1 : exp(-evidence)
    }

    /// ln of one sample's factor of M(p), with q = 1 - p; written in terms of deviances, like the masses in Loader (2000).
    private static func logFactor(_ sample: Proportion, _ strength: Double, _ p: Double, _ q: Double) -> Double {
        let (alpha, beta, total) = (strength * p, strength * q, strength + sample.n)
        let (a, b) = (alpha + sample.x, beta + sample.failures)
        return SpecialFunctions.deviance(a, total * p) + SpecialFunctions.deviance(b, total * q)
            - 0.5 * log(a / alpha * (b / beta) * (strength / total))
            + SpecialFunctions.stirlingError(a) + SpecialFunctions.stirlingError(b) - SpecialFunctions.stirlingError(total)
            - SpecialFunctions.stirlingError(alpha) - SpecialFunctions.stirlingError(beta) + SpecialFunctions.stirlingError(strength)
    }

    private static func logMixture(_ pair: TwoProportions, logOdds: Double) -> Double {
        let (p, q) = (1 / (1 + exp(-logOdds)), 1 / (1 + exp(logOdds)))
        guard min(p, q) > 1e-300 else { return .infinity }
        var largest = -Double.infinity
        var sum = 0.0
        for strength in strengths {
            let term = logFactor(pair.first, strength, p, q) + logFactor(pair.second, strength, p, q)
            if term > largest {
                sum = sum * exp(largest - term) + 1
                largest = term
            } else {
                sum += exp(term - largest)
            }
        }
        return largest + log(sum / Double(strengths.count))
    }

    /// The smallest value of a function that falls and then rises, or the first value found that is not above 0.
    private static func minimum(around start: Double, unit: Double, _ value: (Double) -> Double) -> Double {
        var best = value(start)
        guard best > 0 else { return best }
        // Walk down, in growing steps, until it rises: the minimum is then within the last two steps.
        var step = value(start + 0.01 * unit) < best ? unit : -unit
        var (low, middle, high) = (start - step, start, start + step)
        for _ in 0..<60 {
            let next = value(high)
            guard next < best else { break }
            if next <= 0 { return next }
            best = next
            step *= 2
            (low, middle, high) = (middle, high, high + step)
        }
        // Golden section.
        let share = 0.5 * (5.0.squareRoot() - 1)
        var (left, right) = (high - share * (high - low), low + share * (high - low))
        var (atLeft, atRight) = (value(left), value(right))
        while abs(high - low) > 1e-7 * unit {
            best = min(best, atLeft, atRight)
            if best <= 0 { return best }
            if atLeft < atRight {
                (high, right, atRight) = (right, left, atLeft)
                left = high - share * (high - low)
                atLeft = value(left)
            } else {
                (low, left, atLeft) = (left, right, atRight)
                right = low + share * (high - low)
                atRight = value(right)
            }
        }
        return min(best, atLeft, atRight)
    }
}
