"""Runs written for other programs: one format, one file. A format is a view of a run; nothing is added to it."""

import errno
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO, TypeVar

from journeyman.errors import ConfigError, DamagedRun, UsageError, install
from journeyman.traces.messages import Value
from journeyman.traces.store import Store
from journeyman.traces.writer import Stored

T = TypeVar("T")
Lines = Callable[[Sequence[Stored]], Iterator[str]]
"""The lines of one run; raises `Skip` where the format cannot say what happened."""

Pack = Callable[[BinaryIO, Iterable[str]], int]
"""Writes the lines of all runs as one file; says how many."""

FORMATS = (
    *("messages", "tokens", "grpo", "dpo", "kto", "verl", "verifiers", "openenv", "art"),
    *("events", "otel", "inspect", "atif"),
)
"""A module each, with `lines`; `gathered`, which makes the file's lines of those of the runs, where they are not the
same; `pack` and the `SUFFIX` it must have where a file is no lines.
`FOR_TRAINING = False` in one that is only to be looked at: else runs in which a secret was typed are left out."""


class Skip(Exception):
    """Why a run cannot be written in a format."""


class Exported(Value):
    rows: int
    runs: int
    skipped: dict[str, str]
    """Why, by run."""


def export(store: Store, run_ids: Sequence[str], out: Path, form: str, *, force: bool = False) -> Exported:
    """Write runs to a file, which appears whole or not at all; `force`: also in place of one that is there.

    Raises:
        UsageError: there is no such format, the file is there already, or it cannot be written.
        StoreError: the store cannot be read.
    """
    module = _module(form)
    if not run_ids and out.exists():
        raise UsageError(f"No run fits, and {out} is left as it is.", fix="Ask for others: --where FILTER")

    pack: Pack = getattr(module, "pack", _plainly)
    if not out.name.endswith(suffix := getattr(module, "SUFFIX", "")):
        raise UsageError(f"{form} reads only files called {suffix}.", fix=f"Name it {out.with_suffix(suffix)}")

    skipped: dict[str, str] = {}
    with whole(out, force=force) as file:
        lines = _lines(store, run_ids, module, skipped)
        rows = pack(file, getattr(module, "gathered", iter)(lines))

    return Exported(rows=rows, runs=len(run_ids) - len(skipped), skipped=skipped)


@contextmanager
def whole(out: Path, *, force: bool = False) -> Generator[BinaryIO]:
    """A file that appears at the end of the block, or not at all; with `force` in place of one that is there.

    Raises:
        UsageError: it is there already and not empty, or it cannot be written.
    """
    if not force and out.is_file() and out.stat().st_size:
        raise UsageError(
            f"{out} is there already, and was left as it is.", fix="Name another file, or say --force (force=True)."
        )

    fresh = out.with_name(f".{out.name}.{token_hex(8)}.part")
    try:
        with fresh.open("wb") as file:
            yield file

        fresh.replace(out)
    except OSError as error:
        full = error.errno == errno.ENOSPC
        fix = "Free some disk space." if full else "Name a file in a folder you may write to."
        raise UsageError(f"{out} cannot be written: {error.strerror}.", fix=fix) from error
    finally:
        fresh.unlink(missing_ok=True)


def _lines(store: Store, run_ids: Iterable[str], module: Any, skipped: dict[str, str]) -> Iterator[str]:
    def lines(run: Sequence[Stored]) -> list[str]:
        if getattr(module, "FOR_TRAINING", True):
            trainable(run)

        return list(module.lines(run))

    for written in _each(store, run_ids, lines, skipped):
        yield from written


def _each(
    store: Store, run_ids: Iterable[str], make: Callable[[Sequence[Stored]], T], skipped: dict[str, str]
) -> Iterator[T]:
    """What is made of each run that can be written; `skipped` is told why the others can not."""
    for run_id in run_ids:
        try:
            made = make(list(store.events(run_id)))
        except Skip as why:
            skipped[run_id] = str(why)
        except DamagedRun as damage:
            skipped[run_id] = f"it is damaged: {damage}"
        else:
            yield made


def _plainly(file: BinaryIO, lines: Iterable[str]) -> int:
    rows = 0
    for line in lines:
        file.write(f"{line}\n".encode())
        rows += 1

    return rows


def send(store: Store, run_ids: Sequence[str], url: str) -> Exported:
    """Send runs to an OpenTelemetry collector as spans, a row each.

    Raises:
        UsageError: the URL is none of a collector's.
        ConfigError: it cannot be reached, or the `otel` extra is not installed.
        StoreError: the store cannot be read.
    """
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url} is no address of a collector.", fix="Write http://HOST:PORT.")

    otel, otlp = _module("otel"), _module("otlp")
    rows = 0
    skipped: dict[str, str] = {}
    for spans in _each(store, run_ids, otel.spans, skipped):
        otlp.send(url, spans)
        rows += len(spans)

    return Exported(rows=rows, runs=len(run_ids) - len(skipped), skipped=skipped)


def _module(name: str) -> Any:
    if name not in {*FORMATS, "otlp"}:
        raise UsageError(f"There is no format {name!r}.", fix=f"There are {', '.join(FORMATS)}.")

    try:
        return import_module(f"journeyman.traces.export.{name}")
    except ModuleNotFoundError as error:
        raise ConfigError(f"{name} needs more: {error}.", fix=install("journeyman[otel]")) from error


def trainable(run: Sequence[Stored]) -> None:
    """Raises Skip where nothing may train on a run, whatever the format."""
    if any(getattr(each.event, "secret", False) for each in run):
        raise Skip("a secret was typed in it, so nothing trains on it")

    if any(each.event.type == "run_started" and each.event.sandbox.get("level", 1) == 0 for each in run):
        raise Skip("its code ran without a sandbox, so nothing trains on it")
