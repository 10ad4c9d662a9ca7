"""What stands at the bottom: who works, under which rules, and what it has cost so far."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from journeyman.safe import safe
from journeyman.tui.line import Line, Span, width_of

WARN = 0.8


class Spent(NamedTuple):
    what: str
    used: float
    limit: float

    @property
    def share(self) -> float:
        return self.used / self.limit if self.limit else 0.0


class Status(NamedTuple):
    """A session, as one line tells it."""

    state: str = "starting"
    """starting, ready, not ready, working, waiting for you, gone."""
    model: str = ""
    mode: str = ""
    used: int = 0
    """Tokens in the window."""
    size: int = 0
    read: int = 0
    wrote: int = 0
    cached: int = 0
    cost: float | None = 0.0
    """None: not known."""
    speed: float = 0.0
    """Tokens a second of the last model call."""
    budget: tuple[Spent, ...] = ()

    def spent(self, update: Mapping[str, Any], ours: Mapping[str, Any]) -> "Status":
        """After a `usage_update`."""
        usage = ours.get("usage") or {}
        seconds = ours.get("step_seconds") or 0.0
        cost = (update.get("cost") or {}).get("amount")
        return self._replace(
            used=int(update.get("used") or 0),
            size=int(update.get("size") or 0),
            read=int(usage.get("prompt_tokens") or 0),
            wrote=int(usage.get("completion_tokens") or 0),
            cached=int(usage.get("cached_tokens") or 0),
            cost=cost if ours.get("cost_known", cost is not None) else None,
            speed=(ours.get("step_tokens") or 0) / seconds if seconds else 0.0,
            budget=tuple(Spent(str(b["what"]), b["used"], b["limit"]) for b in ours.get("budget") or ()),
        )

    @property
    def tightest(self) -> Spent | None:
        """The budget that will be spent first."""
        return max(self.budget, key=lambda each: each.share, default=None)


STATES = {"ready": "good", "not ready": "error", "working": "accent", "waiting for you": "warning", "gone": "error"}
TENTHS = "▁▂▃▄▅▆▇█"


def line(status: Status, width: int) -> tuple[Line, Line]:
    """The left and the right of the line; of the right one as much as there is room for."""
    left: list[Span] = [("● ", STATES.get(status.state, "dim")), (status.state, "dim")]
    for text, role in ((safe(_named(status.model), 40), ""), (status.mode, "accent")):
        if text:
            left += [("  ", ""), (text, role)]

    if status.size:
        share = status.used / status.size
        left += [("  ", ""), (f"context {share:.0%}", _warned(share))]

    if budget := status.tightest:
        meter = TENTHS[min(7, int(budget.share * 8))]
        left += [("  ", ""), (f"{meter} {budget.share:.0%} of {_limit(budget)}", _warned(budget.share))]

    fitting = (told for told in _tokens(status) if len(told) + width_of(left) < width - 2)
    return tuple(left), ((next(fitting, ""), "dim"),)


def _named(model: str) -> str:
    """`local:model.gguf` of `local:/a/long/path/model.gguf`."""
    kind, colon, name = model.partition(":")
    return model if "://" in model else f"{kind}{colon}{name.rpartition('/')[2]}"


def _limit(spent: Spent) -> str:
    return f"${spent.limit:g}" if spent.what == "usd" else f"{short(spent.limit)} {spent.what}"


def _tokens(status: Status) -> Iterator[str]:
    """What was read and written, how fast, for how much: all of it, and then less and less."""
    if not status.read:
        return

    cached = f" ({short(status.cached)} cached)" if status.cached else ""
    cost = "price unknown" if status.cost is None else f"${status.cost:.4f}" if status.cost else ""
    speed = f"{status.speed:.0f} tok/s" if status.speed else ""
    read, wrote = f"↑{short(status.read)}", f"↓{short(status.wrote)}"
    for told in (
        [f"{read}{cached} {wrote}", speed, cost],
        [f"{read} {wrote}", speed, cost],
        [f"{read} {wrote}", cost],
        [cost],
    ):
        yield " · ".join(filter(None, told))


def short(number: float) -> str:
    """1,234 as 1.2k."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.{0 if number >= 100 * size else 1}f}{unit}".replace(".0", "")

    return f"{number:g}"


def aged(started: float) -> str:
    """How long ago, in four letters at most."""
    seconds = max(0.0, time.time() - started)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"

    return "now"


def _warned(share: float) -> str:
    return "error" if share >= 1 else "warning" if share >= WARN else "dim"
