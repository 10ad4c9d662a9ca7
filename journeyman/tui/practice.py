"""How practice is going: the share of right attempts by batch, held-out tasks beside those practised, what changed."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from textual import work
from textual.binding import Binding

from journeyman.errors import JourneymanError
from journeyman.safe import safe
from journeyman.tui import courses
from journeyman.tui.chart import Series, curves
from journeyman.tui.line import Line, Span
from journeyman.tui.pager import Pager
from journeyman.tui.shelf import Shelf
from journeyman.tui.traces import aged

BATCHES = 60
FLIPPED = 12
WIDE = 99


class Attempt(NamedTuple):
    batch: str
    task: str
    split: str
    reward: float | None
    tokens: int
    denied: int
    started: float
    prompt: str


class Practice(Pager):
    """The courses of `journeyman improve`, the newest first, and then what was practised by hand."""

    BINDINGS = [
        Binding("right,n", "turn(1)", "next course", id="practice.next"),
        Binding("left,p", "turn(-1)", "course before", id="practice.before"),
        Binding("r", "again", "look again", id="practice.again"),
    ]

    def __init__(self) -> None:
        super().__init__("Practice", [(("reading …", "dim"),)], "←→ courses · r look again · ")
        self._at = 0

    def on_mount(self) -> None:
        super().on_mount()
        self.action_again()

    def action_turn(self, step: int) -> None:
        self._at += step
        self.action_again()

    @work(thread=True, exclusive=True)
    def action_again(self) -> None:
        try:
            lines = list(self._read(max(30, self.size.width - 4)))
        except JourneymanError as error:
            lines: list[Line] = [((f"{error} {error.fix}", "error"),)]

        self._lines = lines
        self.app.call_from_thread(self.draw)

    def _read(self, width: int) -> Iterator[Line]:
        found = courses.folders()
        self._at %= len(found) + 1
        shelf = Shelf()
        try:
            if self._at < len(found):
                course = courses.read(found[self._at])
                flipped = (*course.held_out.gained, *course.held_out.lost) if course.held_out else ()
                yield ((f"course {self._at + 1} of {len(found)}", "dim"),)
                yield from courses.told(course, found[self._at], shelf.prompts(flipped), width)
            else:
                yield from told(read(shelf), width)
        finally:
            shelf.close()


def read(shelf: Shelf) -> list[Attempt]:
    """All attempts at tasks, the oldest first."""
    from sqlalchemy import select

    from journeyman.traces.project import refresh
    from journeyman.traces.projections import sample
    from journeyman.traces.schema import run

    refresh(shelf.store)
    names = ("batch", "task", "reward", "prompt_tokens", "completion_tokens", "denied", "started_at", "prompt")
    query = select(*(run.c[name] for name in names), sample.c.split).join(sample, sample.c.run_id == run.c.run_id)
    with shelf.store.reading() as connection:
        rows = connection.execute(query.order_by(run.c.started_at)).mappings().all()

    return [
        Attempt(
            batch=row["batch"] or "",
            task=row["task"] or "",
            split=row["split"],
            reward=row["reward"],
            tokens=row["completion_tokens"],
            denied=row["denied"],
            started=row["started_at"] / 1e6,
            prompt=safe(row["prompt"], 120),
        )
        for row in rows
    ]


def told(attempts: Sequence[Attempt], width: int) -> Iterator[Line]:
    """The screen, as lines."""
    if not attempts:
        yield (
            ("Nothing was practised yet. journeyman rollout TASKS -n 8, or journeyman improve --tasks starter", "dim"),
        )
        return

    batches: dict[str, list[Attempt]] = defaultdict(list)
    for each in attempts:
        batches[each.batch].append(each)

    yield from _curve(list(batches.values())[-BATCHES:], width)
    yield ()
    yield from _table(list(batches.items())[-8:], width)
    yield ()
    yield from _flipped(list(batches.values()))


def _curve(batches: Sequence[Sequence[Attempt]], width: int) -> Iterator[Line]:
    """Mean reward by batch, of tasks that are trained on and of held-out ones."""
    shares = [
        {
            at: mean
            for at, batch in enumerate(batches)
            if (mean := _mean([e.reward for e in batch if e.split == split])) is not None
        }
        for split in ("train", "held_out")
    ]
    known = Series("trained on", "●", "accent", shares[0]), Series("held out", "○", "heading", shares[1])
    yield from curves(known, len(batches), width, "mean reward by batch")


def _table(batches: Sequence[tuple[str, Sequence[Attempt]]], width: int) -> Iterator[Line]:
    """The newest batches: pass@k with intervals, groups that teach something, length, denials."""
    from journeyman.training.tally import Tried, tally

    wide = width >= WIDE
    name_room, most_room = (24, 22) if wide else (14, 0)
    several = "pass@k" if wide else ""
    heads = f"{'age':>5}{'runs':>6}  {'pass@1':<18}{several:<{most_room}}{'mixed':>6}{'tokens':>8}{'denied':>8}"
    yield ((f"{'batch':<{name_room}}{heads}", "dim"),)
    for name, batch in batches:
        done = tally(Tried(task=each.task, reward=each.reward, tokens=each.tokens) for each in batch)
        one, most = done.passes[0], done.passes[-1]
        first = f"{one.rate:.2f} [{one.low:.2f} {one.high:.2f}]"
        best = f"{most.rate:.2f} [{most.low:.2f} {most.high:.2f}] k={most.k}" if wide else ""
        mixed = f"{done.mixed / done.groups:.0%}" if done.groups else "–"
        denied = sum(each.denied > 0 for each in batch) / len(batch)
        row = f"{len(batch):>6}  {first:<18}{best:<{most_room}}{mixed:>6}{done.tokens // len(batch):>8}{denied:>8.0%}"
        yield (
            (f"{safe(name, name_room - 2):<{name_room}}", ""),
            (f"{aged(batch[-1].started):>5}", "dim"),
            (row, ""),
        )


def _flipped(batches: Sequence[Sequence[Attempt]]) -> Iterator[Line]:
    """Tasks of the first and the last batch that share some: what was learned, and what was unlearned."""
    last = batches[-1]
    tasks = {each.task for each in last}
    first = next((batch for batch in batches[:-1] if tasks & {each.task for each in batch}), None)
    if first is None:
        return

    yield ((f"changed from {safe(first[0].batch, 30)} to {safe(last[0].batch, 30)}", "bold"),)
    before, after = _by_task(first), _by_task(last)
    prompts = {each.task: each.prompt for each in last}
    changes = [(after[t] - before[t], t) for t in before.keys() & after.keys() if before[t] != after[t]]
    for change, task in sorted(changes, key=lambda each: (-abs(each[0]), prompts[each[1]]))[:FLIPPED]:
        arrow: Span = ("▲ " if change > 0 else "▼ ", "good" if change > 0 else "error")
        yield arrow, (f"{before[task]:.2f} → {after[task]:.2f}  ", "dim"), (prompts[task], "")

    if not changes:
        yield (("nothing", "dim"),)


def _by_task(batch: Sequence[Attempt]) -> dict[str, float]:
    found: dict[str, list[Any]] = defaultdict(list)
    for each in batch:
        found[each.task].append(each.reward)

    means = {task: _mean(rewards) for task, rewards in found.items()}
    return {task: mean for task, mean in means.items() if mean is not None}


def _mean(rewards: Sequence[float | None]) -> float | None:
    known = [reward for reward in rewards if reward is not None]
    return sum(known) / len(known) if known else None
