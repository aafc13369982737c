#!/usr/bin/env python3
"""Writes Protocol/vectors/statistics.json: what the functions of FunnelStatistics must return.

    python3 -m venv DIR && DIR/bin/pip install -r Tests/Statistics/requirements.txt && DIR/bin/python Tests/Statistics/reference.py

Values are computed with 50 digits by mpmath, from the definitions, and compared with scipy's and statsmodels' wherever
these have the function; the run fails where they differ by more than is said beside each.
"""

import json
import os
import random
import warnings

import mpmath as mp
import numpy as np
from mpmath import mpf
from scipy import special, stats
from statsmodels.stats import contingency_tables, multitest, proportion

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Protocol", "vectors", "statistics.json")
mp.mp.dps = 50
warnings.simplefilter("ignore")
rng = random.Random(7)
cases = []


def case(function, arguments, expected, peer=None, peer_error=1e-9, absolute=None):
    """`expected`: numbers or None. `peer`: the same from scipy or statsmodels, None where it has no (finite) value."""
    expected = [None if v is None else float(v) for v in expected]
    for ours, theirs in zip(expected, peer or []):
        if ours is not None and theirs is not None and np.isfinite(theirs) and abs(ours) > 1e-300:
            bound = peer_error * abs(ours) + (1e-15 if function in ("difference", "lift", "paired_difference", "wilson") else 0)
            assert abs(ours - theirs) <= bound, (function, arguments, ours, float(theirs))
    row = {"function": function, "arguments": arguments, "expected": expected}
    if absolute:
        row["absolute"] = absolute
    cases.append(row)


def tail_sum(first, ratio, last, k):
    """first * (1 + ratio(k) + ratio(k) ratio(k + step) + ...), until k = last."""
    step = 1 if last >= k else -1
    total, term = mpf(1), mpf(1)
    while k != last and term > total * mpf(10) ** -35:
        term *= ratio(k)
        total += term
        k += step
    return first * total


# Distributions

Z95 = -mp.sqrt(2) * mp.erfinv(mpf(2) * mpf("0.025") - 1)


def survival(z):
    return mp.erfc(mpf(z) / mp.sqrt(2)) / 2


def chi_square(x, k):
    return mp.gammainc(mpf(k) / 2, mpf(x) / 2, mp.inf, regularized=True)


class Hypergeometric:
    def __init__(self, population, marked, draws):
        self.population, self.marked, self.draws = population, marked, draws
        self.low, self.high = max(0, marked + draws - population), min(marked, draws)
        self.mode = min(max((draws + 1) * (marked + 1) // (population + 2), self.low), self.high)

    def mass(self, k):
        def choose(n, k):
            return mp.loggamma(n + 1) - mp.loggamma(k + 1) - mp.loggamma(n - k + 1)

        return mp.exp(choose(self.marked, k) + choose(self.population - self.marked, self.draws - k)
                      - choose(self.population, self.draws))

    def up(self, k):
        return mpf((self.marked - k) * (self.draws - k)) / ((k + 1) * (self.population - self.marked - self.draws + k + 1))

    def lower(self, k):
        if k < self.low:
            return mpf(0)
        return 1 - self.upper(k + 1) if k > self.mode else tail_sum(self.mass(k), lambda i: 1 / self.up(i - 1), self.low, k)

    def upper(self, k):
        if k > self.high:
            return mpf(0)
        return 1 - self.lower(k - 1) if k <= self.mode else tail_sum(self.mass(k), self.up, self.high, k)

    def two_sided(self, k):
        """Masses up to 1 + 1e-7 times the observed."""
        limit = self.mass(k) * mp.exp(mpf("1e-7"))
        if self.mass(self.mode) <= limit:
            return mpf(1)
        total, (low, high) = mpf(0), (self.low - 1, self.mode)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.mass(middle) <= limit else (low, middle)
        total += self.lower(low)
        low, high = self.mode, self.high + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.mass(middle) <= limit else (middle, high)
        return min(mpf(1), total + self.upper(high))


for x in [1e-8, 1e-3, 0.1, 0.5, 1.5, 2.5, 3, 7.25, 9.999, 10, 30.5, 171, 1e3, 1e5, 12345678.9, 1e10]:
    case("log_gamma", [x], [mp.loggamma(mpf(x))], [special.gammaln(x)])
for n, k in [(0, 0), (1, 0), (1, 1), (5, 2), (20, 10), (100, 3), (1000, 500), (10**5, 7), (10**7, 5 * 10**6), (10**7, 12), (10**7, 10**7)]:
    value = mp.loggamma(n + 1) - mp.loggamma(k + 1) - mp.loggamma(n - k + 1)
    case("log_binomial", [n, k], [value], [special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)], 1e-6)
case("log_binomial", [3, 4], [None])
for x in [-37.5, -30, -20, -10, -5, -3, -1.96, -1, -1e-3, 0, 1e-9, 0.3, 0.99, 1.5, 1.959963984540054, 2.5, 3.3, 4, 6, 8, 9.5, 15, 25, 37]:
    case("normal_cdf", [x], [survival(-mpf(x))], [stats.norm.cdf(x)])
    case("normal_survival", [x], [survival(x)], [stats.norm.sf(x)])
    case("normal_two_sided", [x], [2 * survival(abs(x))], [2 * stats.norm.sf(abs(x))])
for p in [1e-300, 1e-200, 1e-100, 1e-50, 1e-20, 1e-12, 1e-11, 1e-9, 1e-6, 1e-4, 0.001, 0.01, 0.025, 0.05, 0.074, 0.076, 0.1, 0.25, 0.4, 0.5,
          0.6, 0.9, 0.924, 0.926, 0.95, 0.975, 0.99, 0.999, 0.999999]:
    root = mp.findroot(lambda x: mp.log(survival(-x)) - mp.log(mpf(p)), mpf(float(stats.norm.ppf(p))))
    case("normal_quantile", [p], [root if p != 0.5 else 0], [stats.norm.ppf(p)])
for p in [0, 1, -1, 2]:
    case("normal_quantile", [p], [None])
for k in [1, 2, 3, 4, 5, 9, 10, 40]:
    for x in [0, 1e-6, 0.01, 0.5, 1, 3.84, k, k + 2, 2 * k + 7, 50, 200, 700, 1350]:
        case("chi_square_survival", [x, k], [chi_square(x, k)], [stats.chi2.sf(x, k)])
for arguments in [[-1, 1], [1, 0]]:
    case("chi_square_survival", arguments, [None])
for table in [(10, 5, 5), (20, 7, 12), (100, 50, 4), (1000, 30, 200), (50_000, 25_000, 1_000),
              (2_000_000, 10**6, 50_000), (20_000_000, 10**7, 10**6)]:
    h = Hypergeometric(*table)
    sd = (table[2] * table[1] / table[0] * (1 - table[1] / table[0])) ** 0.5
    for k in sorted({min(max(h.low, h.mode + round(d * sd)), h.high) for d in (-30, -8, -2, -0.5, 0, 0.5, 3, 12)}):
        case("hypergeometric", [*table, k], [mp.log(h.mass(k)), h.lower(k), h.upper(k)],
             [stats.hypergeom.logpmf(k, *table), stats.hypergeom.cdf(k, *table), stats.hypergeom.sf(k - 1, *table)], 1e-6)

# Two samples


def wilson(x, n):
    p, z2 = mpf(x) / n, Z95**2
    center, half = (p + z2 / (2 * n)) / (1 + z2 / n), Z95 / (1 + z2 / n) * mp.sqrt(p * (1 - p) / n + z2 / (4 * mpf(n) ** 2))
    return max(mpf(0), center - half) if x else mpf(0), min(mpf(1), center + half) if x < n else mpf(1)


def newcombe(x1, n1, x2, n2):
    (l1, u1), (l2, u2), p1, p2 = wilson(x1, n1), wilson(x2, n2), mpf(x1) / n1, mpf(x2) / n2
    return (p2 - p1 - mp.sqrt((p2 - l2) ** 2 + (u1 - p1) ** 2), p2 - p1 + mp.sqrt((u2 - p2) ** 2 + (p1 - l1) ** 2))


def log_evidence(x1, n1, x2, n2, t):
    p, q = 1 / (1 + mp.exp(-t)), 1 / (1 + mp.exp(t))
    total = mpf(0)
    for strength in (250, 4000, 64000):
        a, b = strength * p, strength * q
        log = -((x1 + x2) * mp.log(p) + (n1 + n2 - x1 - x2) * mp.log(q))
        for x, n in ((x1, n1), (x2, n2)):
            log += mp.loggamma(a + x) + mp.loggamma(b + n - x) - mp.loggamma(strength + n)
            log -= mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(strength)
        total += mp.exp(log) / 3
    return mp.log(total)


def sequential(x1, n1, x2, n2):
    """Golden section over the log odds; the minimum may lie at the end of the range."""
    if x1 + x2 in (0, n1 + n2):
        return mpf(1)
    share = (mp.sqrt(5) - 1) / 2
    low, high = mpf(-40), mpf(40)
    left, right = high - share * (high - low), low + share * (high - low)
    at_left, at_right = (log_evidence(x1, n1, x2, n2, t) for t in (left, right))
    while high - low > mpf("1e-12"):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - share * (high - low)
            at_left = log_evidence(x1, n1, x2, n2, left)
        else:
            low, left, at_left = left, right, at_right
            right = low + share * (high - low)
            at_right = log_evidence(x1, n1, x2, n2, right)
    return min(mpf(1), mp.exp(-min(at_left, at_right)))


def two_samples(x1, n1, x2, n2):
    arguments = [x1, n1, x2, n2]
    p1, p2, pooled = mpf(x1) / n1, mpf(x2) / n2, mpf(x1 + x2) / (n1 + n2)
    if 0 < pooled < 1:
        z = (p2 - p1) / mp.sqrt(pooled * (1 - pooled) * (mpf(1) / n1 + mpf(1) / n2))
        case("z_test", arguments, [z, 2 * survival(abs(z))], proportion.proportions_ztest([x2, x1], [n2, n1]), 1e-7)
    else:
        case("z_test", arguments, [None, None])
    table = [[x1, n1 - x1], [x2, n2 - x2]]
    h = Hypergeometric(n1 + n2, n1, x1 + x2)
    # scipy's tolerance is 1e-14 and its masses are differences of large logarithms, so large tables agree less.
    case("fisher_exact", arguments, [h.two_sided(x1)], [stats.fisher_exact(table)[1]] if n1 + n2 < 100_000 else None, 1e-7)
    case("difference", arguments, [p2 - p1, *newcombe(x1, n1, x2, n2)],
         [None, *proportion.confint_proportions_2indep(x2, n2, x1, n1, method="newcomb", compare="diff")])
    if x1 == 0:
        case("lift", arguments, [None, None, None])
    elif x2 == 0 or (x1 == n1 and x2 == n2):
        case("lift", arguments, [p2 / p1 - 1, None, None])
    else:
        half = Z95 * mp.sqrt((1 - p1) / x1 + (1 - p2) / x2)
        peer = proportion.confint_proportions_2indep(x2, n2, x1, n1, method="log", compare="ratio", correction=False)
        ends = [mp.exp(mp.log(p2 / p1) + sign * half) - 1 for sign in (-1, 1)]
        case("lift", arguments, [p2 / p1 - 1, *ends], [None, peer[0] - 1, peer[1] - 1], 1e-6)
    # P(p2 > p1) of Beta posteriors, as the sum of E. Miller ("Formulas for Bayesian A/B testing", 2015) where that is short.
    chance = Hypergeometric(n1 + n2 + 2, n1 + 1, x1 + x2 + 1).upper(x1 + 1)
    if x2 <= 2000:
        a1, b1, a2, b2 = x1 + 1, n1 - x1 + 1, x2 + 1, n2 - x2 + 1
        beta = lambda a, b: mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)  # noqa: E731
        direct = mp.fsum(mp.exp(beta(a1 + i, b1 + b2) - mp.log(b2 + i) - beta(1 + i, b2) - beta(a1, b1)) for i in range(a2))
        assert abs(direct - chance) < 1e-25, arguments
    case("chance_to_win", arguments, [chance])
    case("sequential", arguments, [sequential(x1, n1, x2, n2)])


for counts in [
    (0, 1, 0, 1), (1, 1, 0, 1), (1, 1, 1, 1), (0, 10, 0, 20), (10, 10, 20, 20), (0, 10, 20, 20), (0, 5, 3, 5), (3, 10, 3, 10),
    (3, 9, 5, 15),
    (1, 8, 6, 9), (8, 14, 1, 11), (15, 20, 5, 20), (0, 100, 7, 100), (0, 1000, 1, 1000), (2, 100, 9, 120), (50, 1000, 65, 1000),
    (50, 1000, 80, 1000),
    (500, 10_000, 600, 10_000), (500, 10_000, 601, 10_001), (500, 10_000, 500, 10_000), (5, 10_000, 40, 10_000),
    (9_990, 10_000, 9_950, 10_000),
    (100, 1_000, 1_200, 9_000), (10, 100, 3_000, 50_000), (3, 10, 60_000, 200_000), (40_000, 100_000, 41_000, 100_000),
    (40_000, 100_000, 55_000, 100_000),
    (10_000, 10**6, 10_400, 10**6), (10_000, 10**6, 12_000, 10**6), (300, 10**6, 800, 10**6), (10**6, 10**7, 1_001_500, 10**7),
    (10**6, 10**7, 1_010_000, 10**7),
    (10**6, 10**7, 1_045_000, 10**7), (5 * 10**6, 10**7, 5_001_000, 10**7), (12, 10**7, 40, 10**7), (900_000, 9 * 10**6, 101_000, 10**6),
    (0, 10**7, 900, 10**7), (1, 10**7, 0, 10**7), (7, 50, 10, 10**7), (1, 1, 0, 1000), (0, 1000, 1, 1),
]:
    two_samples(*counts)
for _ in range(25):
    n1, n2 = (round(10 ** rng.uniform(0.5, 5.5)) for _ in range(2))
    rate = 10 ** rng.uniform(-3, -0.05)
    other = min(1, rate * rng.uniform(0.7, 1.4))
    two_samples(sum(rng.random() < rate for _ in range(n1)), n1, sum(rng.random() < other for _ in range(n2)), n2)
for empty in [[0, 0, 3, 10], [3, 10, 0, 0], [0, 0, 0, 0]]:
    for function, values in [("z_test", 2), ("fisher_exact", 1), ("difference", 3), ("lift", 3), ("chance_to_win", 1), ("sequential", 1)]:
        case(function, empty, [None] * values)

for x, n in [(0, 1), (1, 1), (0, 50), (50, 50), (1, 2), (3, 10), (81, 263), (15, 148), (1, 10**6), (999_999, 10**6), (123_456, 10**7)]:
    case("wilson", [x, n], wilson(x, n), proportion.proportion_confint(x, n, method="wilson"), 1e-8)
case("wilson", [0, 0], [None, None])


def best(variants):
    """The trapezium rule over the log odds, four points in the smallest deviation; errors, mostly of the density, stay below 1e-10."""
    a, b = (np.array(v, float) for v in zip(*((x + 1, n - x + 1) for x, n in variants)))
    step = np.sqrt(1 / a + 1 / b).min() / 4
    t = np.arange(-60, 60, step)
    p, q = 1 / (1 + np.exp(-t)), 1 / (1 + np.exp(t))
    cdf = [np.where(p < 0.5, special.betainc(i, j, p), special.betaincc(j, i, q)) for i, j in zip(a, b)]
    density = [np.exp(i * np.log(p) + j * np.log(q) - special.betaln(i, j)) for i, j in zip(a, b)]
    return [step * np.sum(density[i] * np.prod([c for j, c in enumerate(cdf) if j != i], axis=0)) for i in range(len(variants))]


for variants in [
    [(0, 1), (0, 1), (0, 1)], [(1, 4), (2, 4), (3, 4)], [(10, 100), (12, 100), (15, 100)], [(0, 100), (0, 200), (1, 100), (100, 100)],
    [(50, 1000), (55, 1000), (60, 1000), (40, 900)], [(3, 10), (300, 1000), (30_000, 100_000)],
    [(500, 10_000), (520, 10_000), (490, 9_800), (531, 10_100), (515, 10_000)],
    [(0, 1), (2000, 40_000), (2100, 40_000)], [(5, 100_000), (7, 100_000), (9, 100_000)],
    [(99_990, 100_000), (99_991, 100_000), (99_993, 100_000)],
    [(100 + i, 1000) for i in range(10)],
]:
    values = best(variants)
    assert abs(sum(values) - 1) < 1e-10, variants
    case("chance_to_be_best", [v for pair in variants for v in pair], values, absolute=1e-9)
case("chance_to_be_best", [3, 10, 0, 0], [None, None])

# Sample ratio


def sample_ratio(users, shares):
    total, whole = sum(users), mp.fsum(mpf(s) for s in shares)
    expected = [total * mpf(s) / whole for s in shares]
    return chi_square(mp.fsum((u - e) ** 2 / e for u, e in zip(users, expected)), len(users) - 1), expected


for users, shares in [
    ([50, 50], [1, 1]), ([50, 60], [1, 1]), ([5_000, 5_200], [1, 1]), ([900, 110], [9, 1]), ([333, 320, 360], [1, 1, 1]), ([0, 10], [1, 1]),
    ([10**6, 10**6 + 5_000], [1, 1]), ([10**7, 10**7 + 150_000], [0.5, 0.5]), ([100, 210, 290, 395], [0.1, 0.2, 0.3, 0.4]),
    ([1000] * 10, [1] * 10),
    ([1000] * 9 + [1300], [1] * 10), ([1, 2], [1, 2]),
]:
    value, expected = sample_ratio(users, shares)
    case("sample_ratio", [*users, *shares], [value], [stats.chisquare(users, [float(e) for e in expected])[1]], 1e-8)
for arguments in [[5, 1], [0, 0, 1, 1], [5, 5, 0, 1], [5, 5, -1, 1]]:
    case("sample_ratio", arguments, [None])

# Several comparisons

for values in [
    [0.01], [0.01, 0.04], [0.04, 0.01, 0.03, 0.005], [0.5, 0.5, 0.5], [0.01, 0.01, 0.02, 0.02, 0.9], [1e-300, 1e-200, 0.3],
    [0, 1], [0.9, 0.95, 1],
    [0.049, 0.048, 0.051, 0.03, 0.2, 0.7], [0.001 * i for i in range(1, 21)], [rng.random() ** 3 for _ in range(30)],
]:
    case("holm", values, multitest.multipletests(values, method="holm")[1])
    case("benjamini_hochberg", values, multitest.multipletests(values, method="fdr_bh")[1])
for function in ["holm", "benjamini_hochberg"]:
    case(function, [], [])
    case(function, [0.02, 2, 0.01, -1], [{"holm": 0.02, "benjamini_hochberg": 0.02}[function], None, 0.02, None])

# Paired samples


def mcnemar_exact(b, c):
    n, k = b + c, min(b, c)
    if b == c:
        return mpf(1)
    mass = mp.exp(mp.loggamma(n + 1) - mp.loggamma(k + 1) - mp.loggamma(n - k + 1) - n * mp.log(2))
    return min(mpf(1), 2 * tail_sum(mass, lambda i: mpf(i) / (n - i + 1), 0, k))


def paired_interval(a, b, c, d):
    """Of p2 - p1; R. G. Newcombe, Statistics in Medicine 17, 1998, p. 2635, method 10."""
    n = a + b + c + d
    (l1, u1), (l2, u2), p1, p2 = wilson(a + b, n), wilson(a + c, n), mpf(a + b) / n, mpf(a + c) / n
    numerator = mpf(a * d - b * c)
    numerator = max(mpf(0), numerator - mpf(n) / 2) if numerator > 0 else numerator
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    phi = numerator / mp.sqrt(mpf(margins)) if margins else mpf(0)
    low = mp.sqrt((p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2)
    high = mp.sqrt((u2 - p2) ** 2 - 2 * phi * (u2 - p2) * (p1 - l1) + (p1 - l1) ** 2)
    return p2 - p1 - low, p2 - p1 + high


# The paper's own Table III, of first - second.
for a, b, c, d, low, high in [
    (36, 12, 2, 0, 0.0569, 0.3404), (20, 12, 2, 16, 0.0562, 0.3292), (18, 12, 2, 18, 0.0562, 0.3290), (36, 14, 0, 0, 0.1528, 0.4167),
    (35, 14, 0, 1, 0.1461, 0.4175), (18, 14, 0, 18, 0.1441, 0.3963), (2, 97, 1, 0, 0.8721, 0.9854), (1, 97, 1, 1, 0.8736, 0.9850),
]:
    ours = paired_interval(a, c, b, d)
    assert abs(ours[0] - low) < 1e-4 and abs(ours[1] - high) < 1e-4, (a, b, c, d, ours)
for a, b, c, d in [
    (36, 12, 2, 0), (14, 5, 0, 22), (1, 0, 0, 0), (0, 0, 0, 5), (0, 5, 0, 5), (0, 0, 0, 1), (10, 3, 3, 10), (54, 0, 0, 0), (53, 0, 1, 0),
    (0, 29, 29, 0),
    (0, 30, 24, 0), (2, 12, 36, 4), (100, 1, 9, 1000), (1000, 30, 60, 9000), (1000, 30, 31, 9000), (50_000, 1000, 1300, 900_000),
    (10**6, 50_000, 50_500, 8 * 10**6),
    (10**6, 50_000, 60_000, 8 * 10**6), (10**6, 1_000_000, 1_030_000, 10**6), (5, 0, 1000, 10**6), (0, 200, 0, 10**7),
    (3, 4_000_000, 4_001_500, 3),
]:
    table, n = [[a, b], [c, d]], a + b + c + d
    case("paired_difference", [a, b, c, d], [mpf(c - b) / n, *paired_interval(a, b, c, d)])
    case("mcnemar_exact", [a, b, c, d], [mcnemar_exact(b, c)], [contingency_tables.mcnemar(table, exact=True).pvalue], 1e-8)
    for correction in (1, 0):
        value = chi_square(mpf(abs(b - c) - correction) ** 2 / (b + c), 1) if b + c else None
        peer = [contingency_tables.mcnemar(table, exact=False, correction=bool(correction)).pvalue] if b + c else None
        case("mcnemar_chi_square", [a, b, c, d, correction], [value], peer, 1e-8)
case("paired_difference", [0, 0, 0, 0], [None] * 3)
case("mcnemar_exact", [0, 0, 0, 0], [None])

with open(OUT, "w", encoding="utf-8") as file:
    file.write("[\n" + ",\n".join(json.dumps(row) for row in cases) + "\n]\n")
print(len(cases), "cases")
