"""Runs written for other programs: one format, one file. A format is a view of a run; nothing is added to it."""

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

from journeyman.errors import UsageError
from journeyman.traces.messages import Value
from journeyman.traces.store import Store
from journeyman.traces.writer import Stored

Lines = Callable[[Sequence[Stored]], Iterator[str]]
"""The lines of one run; raises `Skip` where the format cannot say what happened."""

FORMATS = {
    "events": "journeyman.traces.export.events:lines",
    "messages": "journeyman.traces.export.messages:lines",
}


class Skip(Exception):
    """Why a run cannot be written in a format."""


class Exported(Value):
    rows: int
    runs: int
    skipped: dict[str, str]
    """Why, by run."""


def export(store: Store, run_ids: Sequence[str], out: Path, form: str) -> Exported:
    """Write runs to a file, which appears whole or not at all.

    Raises:
        UsageError: there is no such format, or the file cannot be written.
        StoreError: the store cannot be read.
    """
    lines = _lines_of(form)
    rows = 0
    skipped: dict[str, str] = {}
    fresh = out.with_name(f".{out.name}.part")
    try:
        with fresh.open("w", encoding="utf-8", newline="\n") as file:
            for run_id in run_ids:
                try:
                    written = list(lines(list(store.events(run_id))))
                except Skip as why:
                    skipped[run_id] = str(why)
                    continue

                file.writelines(f"{line}\n" for line in written)
                rows += len(written)

        fresh.replace(out)
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error}.", fix="Name a file in a folder you may write to."
        ) from error
    finally:
        fresh.unlink(missing_ok=True)

    return Exported(rows=rows, runs=len(run_ids) - len(skipped), skipped=skipped)


def _lines_of(form: str) -> Lines:
    if form not in FORMATS:
        raise UsageError(f"There is no format {form!r}.", fix=f"There are {', '.join(FORMATS)}.")

    module, _, name = FORMATS[form].partition(":")
    return getattr(import_module(module), name)
