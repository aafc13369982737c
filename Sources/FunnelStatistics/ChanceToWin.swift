import Glibc

/// Bayesian probabilities under independent uniform priors, Beta(1, 1): a rate's posterior is Beta(successes + 1, failures +
/// 1).
package enum ChanceToWin {
    /// P(second rate > first rate). Exact: p1 is the (x1+1)-th smallest of n1+1 uniform numbers, p2 likewise, and
    /// p1 < p2 if and only if more than x1 of the first x1+x2+1 of all are p1's, a hypergeometric tail
    /// (P. M. E. Altham, J. Royal Statistical Society B 31, 1969, p. 261). Nil if a sample is empty.
    package static func second(_ pair: TwoProportions) -> Double? {
        guard pair.first.trials > 0, pair.second.trials > 0 else { return nil }
        return Hypergeometric(
            population: pair.first.trials + pair.second.trials + 2, marked: pair.first.trials + 1,
            draws: pair.first.successes + pair.second.successes + 1
        )?.upperTail(pair.first.successes + 1)
    }

    /// For each variant, the probability that its rate is the highest: the integral of its density times the others'
    /// distribution functions, by adaptive Gauss-Kronrod over the log odds, with an error of at most 1e-9. Empty variants are
    /// nil and not compared; all are nil if fewer than two remain.
    package static func best(_ variants: [Proportion]) -> [Double?] {
        let posteriors = variants.enumerated().filter { $0.element.trials > 0 }.map { ($0.offset, Posterior($0.element)) }
        var chances = [Double?](repeating: nil, count: variants.count)
        guard posteriors.count >= 2 else { return chances }
        let sums = integrate(posteriors.map(\.1))
        for (place, (index, _)) in posteriors.enumerated() { chances[index] = min(1, max(0, sums[place])) }
        return chances
    }

    /// Beta(a, b) on the scale of the log odds t.
    private struct Posterior {
        let a, b: Double

        init(_ proportion: Proportion) {
            a = proportion.x + 1
            b = proportion.failures + 1
        }

        /// Limits of the first panels of the integral. Less than 1e-15 is outside the outer two, since the density falls like
        /// e^(at) and e^(-bt).
        var breaks: [Double] {
            let center = log(a / b)
            let sd = (1 / a + 1 / b).squareRoot()
            let inner = [-6, -2, 0, 2, 6].map { center + $0 * sd }
            return [center - 9 * sd - 40 / a] + inner + [center + 9 * sd + 40 / b]
        }

        func at(_ t: Double) -> (cdf: Double, density: Double) {
            let result = SpecialFunctions.regularizedBeta(x: 1 / (1 + exp(-t)), y: 1 / (1 + exp(t)), a: a, b: b)
            return (result.lower, result.density)
        }
    }

    private static func integrate(_ posteriors: [Posterior]) -> [Double] {
        let breaks = posteriors.flatMap(\.breaks).sorted()
        var sums = [Double](repeating: 0, count: posteriors.count)
        var panels = zip(breaks, breaks.dropFirst()).filter { $0 < $1 }.map { (low: $0, high: $1, depth: 0) }
        while let panel = panels.popLast() {
            let (value, error) = panelSums(posteriors, panel.low, panel.high)
            if error < 1e-12 || panel.depth == 24 {
                for index in sums.indices { sums[index] += value[index] }
            } else {
                let middle = 0.5 * (panel.low + panel.high)
                panels.append((panel.low, middle, panel.depth + 1))
                panels.append((middle, panel.high, panel.depth + 1))
            }
        }
        return sums
    }

    /// All integrals over one panel by the 15-point Kronrod rule, and the largest distance from the 7-point Gauss rule.
    private static func panelSums(_ posteriors: [Posterior], _ low: Double, _ high: Double) -> (value: [Double], error: Double) {
        let (center, half) = (0.5 * (low + high), 0.5 * (high - low))
        var kronrod = [Double](repeating: 0, count: posteriors.count)
        var gauss = kronrod
        func add(_ t: Double, _ kronrodWeight: Double, _ gaussWeight: Double) {
            let points = posteriors.map { $0.at(t) }
            for (index, point) in points.enumerated() where point.density > 0 {
                var value = point.density * half
                for (other, rival) in points.enumerated() where other != index { value *= rival.cdf }
                kronrod[index] += kronrodWeight * value
                gauss[index] += gaussWeight * value
            }
        }
        for (node, kronrodWeight, gaussWeight) in rule {
            add(center + half * node, kronrodWeight, gaussWeight)
            if node > 0 { add(center - half * node, kronrodWeight, gaussWeight) }
        }
        return (kronrod, zip(kronrod, gauss).reduce(0) { max($0, abs($1.0 - $1.1)) })
    }

    /// Nodes >= 0, Kronrod weights, Gauss weights (R. Piessens et al., QUADPACK, 1983, qk15).
    private static let rule: [(Double, Double, Double)] = [
        (0.991455371120812639206854697526329, 0.022935322010529224963732008058970, 0),
        (0.949107912342758524526189684047851, 0.063092092629978553290700663189204, 0.129484966168869693270611432679082),
        (0.864864423359769072789712788640926, 0.104790010322250183839876322541518, 0),
        (0.741531185599394439863864773280788, 0.140653259715525918745189590510238, 0.279705391489276667901467771423780),
        (0.586087235467691130294144691693293, 0.169004726639267902826583426598550, 0),
        (0.405845151377397166906606412076961, 0.190350578064785409913256402421014, 0.381830050505118944950369775488975),
        (0.207784955007898467600689403773245, 0.204432940075298892414161999234649, 0),
        (0, 0.209482141084727828012999174891714, 0.417959183673469387755102040816327),
    ]
}
