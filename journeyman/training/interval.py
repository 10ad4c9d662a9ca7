"""How far a rate from few trials may be off."""

import math
from collections.abc import Sequence
from random import Random

Z95 = 1.959964


def wilson(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """The score interval of a binomial proportion (Wilson, 1927), by default at 95 %; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0

    rate, square = successes / trials, z * z
    middle = (rate + square / (2 * trials)) / (1 + square / trials)
    half = z / (1 + square / trials) * math.sqrt(rate * (1 - rate) / trials + square / (4 * trials * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def pass_at(k: int, right: int, n: int) -> float:
    """Chance that at least one of `k` attempts is right, estimated without bias from `right` of `n` (Chen, 2021)."""
    return 1.0 if n - right < k else 1 - math.comb(n - right, k) / math.comb(n, k)


def mcnemar(gained: int, lost: int) -> float:
    """Chance of a split at least as uneven, were either side as likely (McNemar, 1947; exact, two-sided)."""
    n = gained + lost
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(min(gained, lost) + 1)) / 2**n)


def bootstrap(values: Sequence[float], *, draws: int = 2000, seed: int = 1) -> tuple[float, float]:
    """The 95 % percentile interval of a mean, the values drawn anew; (0, 1) of none."""
    if not values:
        return 0.0, 1.0

    random = Random(seed)
    means = sorted(sum(random.choices(values, k=len(values))) / len(values) for _ in range(draws))
    return means[round(0.025 * (draws - 1))], means[round(0.975 * (draws - 1))]
