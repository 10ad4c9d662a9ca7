"""How far a rate from few trials may be off."""

import math

Z95 = 1.959964


def wilson(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """The score interval of a binomial proportion (Wilson, 1927), by default at 95 %; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0

    rate, square = successes / trials, z * z
    middle = (rate + square / (2 * trials)) / (1 + square / trials)
    half = z / (1 + square / trials) * math.sqrt(rate * (1 - rate) / trials + square / (4 * trials * trials))
    return max(0.0, middle - half), min(1.0, middle + half)
