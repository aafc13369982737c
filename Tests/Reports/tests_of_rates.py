"""Tests and intervals for rates, from scipy and statsmodels where these have them: Protocol/STATISTICS.md.

`x1` of `n1` is the control, or the first; `x2` of `n2` the variant, or the second.
"""

import math
from functools import reduce
from operator import mul

from scipy import integrate, optimize, stats
from scipy.special import betaln, logsumexp, xlog1py, xlogy
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, proportions_ztest


def numbers(values):
    return [float(v) for v in values]


def difference_interval(x1, n1, x2, n2):
    """Newcombe's hybrid score interval."""
    return numbers(confint_proportions_2indep(x2, n2, x1, n1, method="newcomb", compare="diff", correction=False))


def lift_interval(x1, n1, x2, n2):
    """Katz."""
    if x2 == 0 or (x1 == n1 and x2 == n2):
        return None
    return [bound - 1 for bound in numbers(confint_proportions_2indep(x2, n2, x1, n1, method="log", compare="ratio", correction=False))]


def p_value(x1, n1, x2, n2):
    """And its method: Fisher's where an expected count is under 5."""
    x, n = x1 + x2, n1 + n2
    least = min(part * whole / n for part in (n1, n2) for whole in (x, n - x))
    if least < 5:
        return float(stats.fisher_exact([[x1, n1 - x1], [x2, n2 - x2]])[1]), "fisher_exact"
    return float(proportions_ztest([x2, x1], [n2, n1])[1]), "two_proportion_z"


def holm(values):
    return adjusted(values, "holm")


def benjamini_hochberg(values):
    return adjusted(values, "fdr_bh")


def adjusted(values, method):
    given = [v for v in values if v is not None]
    found = iter(multipletests(given, method=method)[1]) if given else iter(())
    return [None if v is None else float(next(found)) for v in values]


def sequential_p_value(groups):
    """From the least evidence against any common rate; `groups` are pairs of successes and users."""
    def evidence(p):
        null = sum(xlogy(x, p) + xlog1py(n - x, -p) for x, n in groups)
        return logsumexp([
            sum(betaln(k * p + x, k * (1 - p) + n - x) - betaln(k * p, k * (1 - p)) for x, n in groups) - null
            for k in (250, 4000, 64000)]) - math.log(3)

    pooled = sum(x for x, _ in groups) / sum(n for _, n in groups)
    grid = [i / 2000 for i in range(1, 2000)] + [pooled]
    best = min(grid, key=evidence)
    found = optimize.minimize_scalar(evidence, bounds=(max(best - 1e-3, 1e-9), min(best + 1e-3, 1 - 1e-9)), method="bounded",
                                     options={"xatol": 1e-12})
    return float(min(1, math.exp(-min(found.fun, evidence(best)))))


def chance_to_be_best(groups):
    """Of each group that its true rate is the highest, with uniform priors; None for a group without users."""
    posteriors = [stats.beta(x + 1, n - x + 1) if n else None for x, n in groups]
    some = [p for p in posteriors if p is not None]

    def chance(mine):
        others = [p for p in some if p is not mine]
        low, high = float(mine.ppf(1e-13)), float(mine.ppf(1 - 1e-13))
        cuts = [float(mine.ppf(q)) for q in (0.01, 0.25, 0.5, 0.75, 0.99)]
        return float(integrate.quad(lambda t: mine.pdf(t) * reduce(mul, (o.cdf(t) for o in others)), low, high, points=cuts,
                                    epsabs=1e-13, epsrel=1e-13, limit=500)[0])

    return [chance(p) if p is not None and len(some) > 1 else None for p in posteriors]


def sample_ratio(users, shares):
    """Pearson's chi-square of users against shares; None where nothing can be said."""
    if len(users) < 2 or not sum(users) or min(shares) <= 0:
        return None
    return float(stats.chisquare(users, [share / sum(shares) * sum(users) for share in shares]).pvalue)


def versus(x1, n1, x2, n2):
    """Lift and p-value; None where a group is empty."""
    if not n1 or not n2:
        return dict.fromkeys(("lift", "lift_ci", "p_value", "method"))
    p, method = p_value(x1, n1, x2, n2) if 0 < x1 + x2 < n1 + n2 else (1.0, "fisher_exact")
    return {"lift": x2 / n2 / (x1 / n1) - 1 if x1 else None, "lift_ci": lift_interval(x1, n1, x2, n2) if x1 else None,
            "p_value": p, "method": method}


def comparison(x1, n1, x2, n2):
    """All that is said of a variant but the adjusted values."""
    if not n1 or not n2:
        return versus(x1, n1, x2, n2) | dict.fromkeys(("difference", "difference_ci", "sequential_p_value", "chance_to_win"))
    return versus(x1, n1, x2, n2) | {
        "difference": x2 / n2 - x1 / n1, "difference_ci": difference_interval(x1, n1, x2, n2),
        "sequential_p_value": sequential_p_value([(x1, n1), (x2, n2)]), "chance_to_win": chance_to_be_best([(x1, n1), (x2, n2)])[1]}


def paired(both, first, second, neither):
    """Users who converted in both funnels, in one alone, in none."""
    n = both + first + second + neither
    if not n:
        return {key: None for key in ("difference", "difference_ci", "p_value", "chi_square_p_value")}
    table = [[both, first], [second, neither]]
    discordant = first + second
    return {
        "difference": (second - first) / n, "difference_ci": paired_interval(both, second, first, neither),
        "p_value": float(mcnemar(table, exact=True).pvalue) if discordant else 1.0, "method": "mcnemar_exact",
        "chi_square_p_value": float(mcnemar(table, exact=False, correction=True).pvalue) if discordant else None,
    }


def paired_interval(e, f, g, h):
    """Newcombe (Statistics in Medicine 17, 1998, p. 2635), method 10, of (f - g)/n: cells e both, f first, g second, h neither."""
    n = e + f + g + h
    p1, p2 = (e + f) / n, (e + g) / n
    l1, u1 = proportion_confint(e + f, n, method="wilson")
    l2, u2 = proportion_confint(e + g, n, method="wilson")
    margins = (e + f) * (g + h) * (e + g) * (f + h)
    cross = e * h - f * g
    if cross > 0:
        cross = max(cross - n / 2, 0)
    phi = cross / math.sqrt(margins) if margins else 0
    low = math.sqrt((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2)
    high = math.sqrt((u1 - p1) ** 2 - 2 * phi * (u1 - p1) * (p2 - l2) + (p2 - l2) ** 2)
    return [float((f - g) / n - low), float((f - g) / n + high)]
