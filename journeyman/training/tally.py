"""What a batch of practice came to: how often right, how many groups teach something, what it took."""

from collections import defaultdict
from collections.abc import Iterable

from journeyman.traces.messages import Value
from journeyman.training.interval import bootstrap, pass_at


class Tried(Value):
    """An attempt, as far as it counts here."""

    task: str
    reward: float | None
    """None: it could not be judged."""
    tokens: int = 0
    seconds: float = 0.0
    usd: float | None = 0.0


class PassAt(Value):
    k: int
    rate: float
    low: float
    """Of the 95 % interval, over the tasks."""
    high: float


class Tally(Value):
    attempts: int
    right: int
    unjudged: int
    groups: int
    mixed: int
    """Groups with different rewards: the ones that reinforcement learns from."""
    passes: tuple[PassAt, ...]
    """For 1 and for the largest group's size, and powers of two between."""
    tokens: int
    seconds: float
    """Of all attempts, one after the other."""
    usd: float | None


def tally(tried: Iterable[Tried]) -> Tally:
    """Add attempts up. One that could not be judged is neither right nor wrong, and in no group."""
    everything = list(tried)
    groups: dict[str, list[float]] = defaultdict(list)
    for each in everything:
        if each.reward is not None:
            groups[each.task].append(each.reward)

    rewards = list(groups.values())
    costs = [each.usd for each in everything]
    return Tally(
        attempts=len(everything),
        right=sum(reward == 1 for values in rewards for reward in values),
        unjudged=sum(each.reward is None for each in everything),
        groups=len(rewards),
        mixed=sum(len(set(values)) > 1 for values in rewards),
        passes=tuple(_pass_at(k, rewards) for k in _sizes(max(map(len, rewards), default=1))),
        tokens=sum(each.tokens for each in everything),
        seconds=round(sum(each.seconds for each in everything), 3),
        usd=None if None in costs else sum(cost for cost in costs if cost),
    )


def _sizes(n: int) -> list[int]:
    powers = [1 << exponent for exponent in range(n.bit_length()) if 1 << exponent < n]
    return [*powers, n]


def _pass_at(k: int, groups: list[list[float]]) -> PassAt:
    rates = [pass_at(k, sum(reward == 1 for reward in values), len(values)) for values in groups if len(values) >= k]
    low, high = bootstrap(rates)
    return PassAt(k=k, rate=round(sum(rates) / max(len(rates), 1), 4), low=round(low, 4), high=round(high, 4))
