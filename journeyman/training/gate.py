"""Is the new adapter better: the same held-out tasks before and after, compared in pairs.

McNemar's exact test on the tasks that changed: with small numbers an interval for each rate alone says little, since
both rates are of the same tasks.
"""

from collections.abc import Iterable, Mapping

from journeyman.traces.messages import Value
from journeyman.training.interval import bootstrap, mcnemar

SURE = 0.05
"""The chance of so many changes in one direction by luck, below which it counts."""
SLACK = 0.05
"""The share of the regression suite that may be lost where it may be chance."""


class Paired(Value):
    tasks: int
    before: float
    after: float
    gained: tuple[str, ...]
    """Keys of tasks that were wrong and are right."""
    lost: tuple[str, ...]
    p: float
    """Two-sided."""
    low: float
    """Of the difference's 95 % interval, bootstrapped over the tasks."""
    high: float

    @property
    def better(self) -> bool:
        return self.p < SURE and len(self.gained) > len(self.lost)

    @property
    def worse(self) -> bool:
        return self.p < SURE and len(self.gained) < len(self.lost)


class Verdict(Value):
    promote: bool
    reasons: tuple[str, ...]


def paired(before: Mapping[str, bool], after: Mapping[str, bool]) -> Paired:
    """Compare the tasks that were tried both times."""
    both = sorted(before.keys() & after.keys())
    gained = tuple(key for key in both if after[key] and not before[key])
    lost = tuple(key for key in both if before[key] and not after[key])
    changes = [after[key] - before[key] for key in both] or [0]
    low, high = bootstrap(changes)
    return Paired(
        tasks=len(both),
        before=_rate(before[key] for key in both),
        after=_rate(after[key] for key in both),
        gained=gained,
        lost=lost,
        p=mcnemar(len(gained), len(lost)),
        low=round(low, 4),
        high=round(high, 4),
    )


def verdict(held_out: Paired, regression: Paired | None, controls: Mapping[str, Paired | None]) -> Verdict:
    """Promote what is better on held-out tasks, no worse on older ones, and better by its rewards, not by luck.

    A control that is None could not be trained; it shows nothing.
    """
    reasons, good = [], held_out.better
    change = f"{held_out.before:.0%} -> {held_out.after:.0%} (p = {held_out.p:.2g})"
    reasons.append(f"held-out {'better' if held_out.better else 'not surely better'}: {change}")
    if regression is not None:
        dropped = regression.worse or regression.before - regression.after > SLACK
        good = good and not dropped
        reasons.append(
            f"regression suite {'worse' if dropped else 'no worse'}: {regression.before:.0%} -> {regression.after:.0%}"
        )

    for name, control in controls.items():
        if control is None:
            good = False
            reasons.append(f"control {name} could not be trained, so nothing shows that the gain is the rewards'")
            continue

        flat = not control.better
        beaten = control.after < held_out.after
        good = good and (flat or beaten)
        how = "flat" if flat else "not flat, but beaten" if beaten else "as good: the gain is not its rewards'"
        reasons.append(f"control {name} {how}: {control.before:.0%} -> {control.after:.0%}")

    return Verdict(promote=good, reasons=tuple(reasons))


def _rate(values: Iterable[bool]) -> float:
    found = list(values)
    return round(sum(found) / max(len(found), 1), 4)
