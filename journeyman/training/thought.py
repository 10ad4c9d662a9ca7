"""The form of an attempt, rewarded beside its outcome as DeepSeek-R1 did (arXiv 2501.12948): think, then act."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from journeyman.traces.events import ModelResponded
from journeyman.traces.store import Store
from journeyman.traces.writer import Stored
from journeyman.training.rollout import runs_of
from journeyman.training.rows import Row

ON_TOP = 0.2
"""For an attempt that thought before each call; a right answer is worth 1."""


def thoughtful(store: Store, batch: str) -> dict[str, bool]:
    """Whether each call was thought of first, by id, of a batch's runs that called something.

    Raises:
        StoreError: the store cannot be read.
    """
    found = {run_id: _thinks_first(store.events(run_id)) for run_id in runs_of(store, batch)}
    return {run_id: first for run_id, first in found.items() if first is not None}


def with_form(rows: Sequence[Row], thought: Mapping[str, bool]) -> list[Row]:
    """Attempts with what their form is worth added."""
    return [replace(row, reward=(row.reward or 0.0) + ON_TOP * thought.get(row.run_id, False)) for row in rows]


def _thinks_first(run: Iterable[Stored]) -> bool | None:
    """None: it called nothing."""
    said = [each.event.message for each in run if isinstance(each.event, ModelResponded)]
    first = [message.parts[0] for message in said if message.calls]
    return all(part.type == "thinking" and bool(part.text.strip()) for part in first) if first else None
