"""Finding runs: by a filter, or by what was said in them, with the place where it was said."""

from collections.abc import Sequence

from sqlalchemy import func, select

from journeyman.errors import UsageError
from journeyman.traces.messages import Value
from journeyman.traces.project import refresh
from journeyman.traces.query import Filter
from journeyman.traces.schema import run as table
from journeyman.traces.store import RunSummary, Store
from journeyman.traces.words import said

AROUND = 60
"""Characters shown on each side of a hit."""
DEEP = 20_000
"""How many of the newest events that say a word are looked at where only the newest runs are wanted."""


class Hit(Value):
    run: RunSummary
    seq: int
    """The event that says it."""
    type: str
    text: str
    """The words, with what stands around them."""


def find(store: Store, text: str = "", limit: int | None = 50) -> Sequence[RunSummary]:
    """The newest runs that a filter fits.

    Raises:
        UsageError: the filter makes no sense.
        StoreError: the store cannot be read.
    """
    wanted = Filter(text)
    if wanted.needs_projections:
        refresh(store)

    return store.runs(limit, wanted.where(store.dialect, DEEP if limit else None) if wanted.terms else None)


def count(store: Store, text: str) -> int:
    """How many runs a filter fits; one of the fields that lists keep.

    Raises:
        UsageError: the filter makes no sense.
        StoreError: the store cannot be read.
    """
    with store.reading() as connection:
        query = select(func.count()).select_from(table).where(Filter(text).where(store.dialect))
        return connection.scalar(query) or 0


def search(store: Store, text: str, limit: int = 20) -> Sequence[Hit]:
    """The newest runs that say this and fit the rest of the filter, each with the first event that says it.

    Raises:
        UsageError: the filter makes no sense, or is empty.
        StoreError: the store cannot be read.
    """
    if not Filter(text).terms:
        raise UsageError("There is nothing to search for.", fix="Say a word: journeyman traces search boat")

    runs = {run.run_id: run for run in find(store, text, limit)}
    phrases = [term.value for term in Filter(text).terms if not term.field and not term.no]
    found: list[Hit] = []
    for run in runs.values():
        for each in store.own_events(run.run_id):
            words = said(each.event)
            at = _place(words, phrases)
            if at is not None or not phrases:
                shown = words[max((at or 0) - AROUND, 0) : (at or 0) + AROUND]
                found.append(Hit(run=run, seq=each.seq, type=each.event.type, text=shown))
                break

    return found


def _place(words: str, phrases: Sequence[str]) -> int | None:
    lowered = words.lower()
    places = [at for phrase in phrases if (at := lowered.find(phrase.rstrip("*").lower())) >= 0]
    return min(places) if places else None
