"""The recorded runs, page by page: a hundred thousand of them cost as much to look at as a screenful.

It brings the store's library along: import it where a shelf is opened, and in a thread.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import func, select

from journeyman.config import load_settings
from journeyman.engine.updates import Updates
from journeyman.safe import safe
from journeyman.traces.export import export
from journeyman.traces.project import refresh
from journeyman.traces.query import Filter
from journeyman.traces.schema import run
from journeyman.traces.store import Store
from journeyman.tui.feed import items_of
from journeyman.tui.items import Item

PAGE = 200
COLUMNS = (
    "run_id", "started_at", "model", "prompt", "outcome", "answer", "steps", "prompt_tokens", "completion_tokens",
    "denied", "seconds", "reward", "cost_usd", "calls", "errors", "batch", "task", "parent",
)  # fmt: skip


class Record(NamedTuple):
    """One run as the list shows it, fit to be shown."""

    run_id: str
    outcome: str
    reward: float | None
    steps: int
    tokens: int
    cost: float | None
    seconds: float | None
    calls: int | None
    errors: int | None
    denied: int
    model: str
    prompt: str
    answer: str
    started: float
    batch: str
    task: str


class Group(NamedTuple):
    """Attempts at one task, in one batch; or the candidates of a search."""

    batch: str
    """Of a search: its own run."""
    task: str
    """Empty: it is a search."""
    prompt: str
    rewards: tuple[float | None, ...]
    started: float


class Shelf:
    """The store of the settings, read."""

    def __init__(self) -> None:
        """Open it.

        Raises:
            ConfigError, StoreError: there is none that can be used.
        """
        self.store: Store = Store.open(load_settings().store)
        self._where: Any = None
        self._pages: dict[int, list[Record]] = {}
        self._searches: dict[str, list[tuple[float | None, bool]]] = {}
        self.count = 0

    def close(self) -> None:
        self.store.close()

    def narrow(self, text: str) -> None:
        """Only runs that a filter fits, as `journeyman traces list` takes it.

        Raises:
            UsageError: the filter makes no sense.
            StoreError: the store cannot be read.
        """
        wanted = Filter(text)
        if wanted.needs_projections:
            refresh(self.store)

        where = wanted.where(self.store.dialect)
        with self.store.reading() as connection:
            self.count = connection.scalar(select(func.count()).select_from(run).where(where)) or 0

        self._where = where
        self._pages.clear()

    def __getitem__(self, row: int) -> Record:
        """The row-th newest run that fits."""
        page = row // PAGE
        if page not in self._pages:
            if len(self._pages) > 20:  # noqa: PLR2004 - what a reader may scroll back to
                self._pages.clear()

            self._pages[page] = self._read(page * PAGE)

        return self._pages[page][row % PAGE]

    def _read(self, offset: int) -> list[Record]:
        query = select(*(run.c[name] for name in COLUMNS)).where(self._where)
        query = query.order_by(run.c.started_at.desc(), run.c.run_id.desc()).limit(PAGE).offset(offset)
        with self.store.reading() as connection:
            return [_record(row) for row in connection.execute(query).mappings()]

    def groups(self, limit: int = 2_000) -> list[Group]:
        """Attempts by batch and task, the newest first."""
        query = select(*(run.c[n] for n in ("batch", "task", "prompt", "reward", "started_at", "attempt")))
        query = query.where(run.c.batch.is_not(None)).where(self._where)
        query = query.order_by(run.c.started_at.desc()).limit(limit * 16)
        found: dict[tuple[str, str], list[Any]] = {}
        with self.store.reading() as connection:
            for row in connection.execute(query).mappings():
                found.setdefault((row["batch"], row["task"]), []).append(row)

        return [
            Group(
                str(batch),
                task or "",
                safe(str(rows[0]["prompt"]), 200),
                tuple(row["reward"] for row in sorted(rows, key=lambda each: each["attempt"] or 0)),
                rows[0]["started_at"] / 1e6,
            )
            for (batch, task), rows in list(found.items())[:limit]
        ]

    def prompts(self, tasks: Sequence[str]) -> dict[str, str]:
        """What tasks ask, by key, as far as they were tried."""
        query = select(run.c.task, run.c.prompt).where(run.c.task.in_(tasks)).distinct()
        with self.store.reading() as connection:
            return {row.task: row.prompt for row in connection.execute(query)}

    def search(self, run_id: str) -> list[tuple[float | None, bool]]:
        """The candidates of a search, in its order: how good each was found, and whether it was chosen."""
        if run_id not in self._searches:
            events = [stored.event for stored in self.store.own_events(run_id)]
            scores = {each.run_id: each.score for each in events if each.type == "candidate_scored"}
            chosen = {each.run_id for each in events if each.type == "candidate_chosen"}
            tried = [each.run_id for each in events if each.type == "candidate_tried" and each.role != "judgement"]
            self._searches[run_id] = [(scores.get(each), each in chosen) for each in tried]

        return self._searches[run_id]

    def record(self, run_id: str) -> Record:
        """One run."""
        query = select(*(run.c[name] for name in COLUMNS)).where(run.c.run_id == run_id)
        with self.store.reading() as connection:
            return _record(connection.execute(query).mappings().one())

    def events(self, run_id: str) -> Sequence[Any]:
        """A run's stored events."""
        return list(self.store.events(run_id))

    def items(self, run_id: str) -> list[Item]:
        """A run as a transcript."""
        updates = Updates()
        told: list[Mapping[str, Any]] = []
        for stored in self.events(run_id):
            told += updates.of(stored.event, stored.at / 1e6)

        return items_of(told)[0]

    async def rate(self, run_id: str, score: float) -> None:
        """Keep what the user thinks of a run, 0 to 1."""
        from journeyman.training.scoring import rate  # the room of training

        await rate(self.store, run_id, score)
        refresh(self.store)
        self._pages.clear()

    def export(self, run_ids: Sequence[str], out: Path, form: str) -> str:
        """Write runs to a file; what came of it.

        Raises:
            UsageError: the file is there, or the format is none.
        """
        done = export(self.store, run_ids, out, form)
        left = f", {len(done.skipped)} left out" if done.skipped else ""
        return f"{done.rows} rows of {done.runs} runs in {out}{left}"


def _record(row: Mapping[str, Any]) -> Record:
    return Record(
        run_id=row["run_id"],
        outcome=row["outcome"] or "unfinished",
        reward=row["reward"],
        steps=row["steps"],
        tokens=row["prompt_tokens"] + row["completion_tokens"],
        cost=row["cost_usd"],
        seconds=row["seconds"],
        calls=row["calls"],
        errors=row["errors"],
        denied=row["denied"],
        model=safe(row["model"], 60),
        prompt=safe(row["prompt"], 300),
        answer=safe(row["answer"] or "", 300),
        started=row["started_at"] / 1e6,
        batch=row["batch"] or "",
        task=row["task"] or "",
    )
