"""What monty's errors mean to whoever wrote the code: a fault in it, a limit, or a part of Python that is missing."""

import builtins
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from journeyman.sandbox.cell import Cell
from journeyman.sandbox.sandbox import Status

if TYPE_CHECKING:
    from pydantic_monty import Frame, MontyError

LATE = "the code ran too long and was stopped"
SUBSET = "this sandbox runs a safe subset of Python"
MODULES = "math, random, re, json, datetime, collections, itertools, ..."
FRAMES = 5
MAX_LINE = 200
_NAME = re.compile(r"name '(\w+)' is not defined")
_LACKS = (
    (re.compile(r"The monty syntax parser does not yet support (.*)"), "{0}"),
    (re.compile(r"No module named '([^']*)'"), f"module {{0!r}}; there are {MODULES}"),
    (re.compile(r"module '(\w+)' has no attribute '(\w+)'"), "{0}.{1}"),
)


@dataclass(frozen=True, slots=True)
class Fault:
    status: Status
    text: str
    denials: tuple[str, ...] = ()


def explain(error: "MontyError", cell: Cell) -> Fault:
    """Classify an error that the sandbox reported; the worker is still there unless the status says otherwise."""
    from pydantic_monty import MontyCrashedError, MontyRuntimeError, MontySyntaxError  # noqa: PLC0415 - a heavy import

    if isinstance(error, MontyCrashedError):
        return Fault("timeout", LATE) if error.timed_out else Fault("crashed", "the sandbox's process ended")

    if not isinstance(error, MontyRuntimeError | MontySyntaxError):
        return Fault("error", str(error))

    message = error.display("type-msg")
    frames = error.traceback()
    if isinstance(error.exception(), TimeoutError) and not frames:
        return Fault("timeout", LATE)

    if isinstance(error.exception(), MemoryError) and "limit" in message:
        return Fault("oom", "the code needed more memory than it may use and was stopped")

    denials = (message,) if isinstance(error.exception(), PermissionError) else ()
    return Fault("error", _trace(frames, cell) + (_beyond_subset(message) or message), denials)


def _trace(frames: "list[Frame]", cell: Cell) -> str:
    """One line for each of the innermost frames: `line 2, in f: return 1 / x`."""
    lines = []
    written = [frame for frame in frames if frame.line <= cell.lines or frame.function_name not in {None, "<module>"}]
    for frame in written[-FRAMES:]:
        name = frame.function_name
        place = f"line {frame.line}, in {name}" if name and name != "<module>" else f"line {frame.line}"
        source = cell.as_written(frame.line, (frame.source_line or "").strip())[:MAX_LINE]
        lines.append(f"{place}: {source}\n")

    return "".join(lines)


def _beyond_subset(message: str) -> str:
    """The message for something that Python has and this sandbox does not; empty for an ordinary error."""
    for pattern, words in _LACKS:
        if found := pattern.search(message):
            return f"{SUBSET}: no {words.format(*found.groups())}"

    if (found := _NAME.search(message)) and found[1] in dir(builtins):
        return f"{SUBSET}: no {found[1]}()"

    if "PermissionError" in message:
        return f"{message}: this sandbox has no files"

    internal = "Internal error in monty" in message or "is not supported in this environment" in message
    return f"{SUBSET}: {message}" if internal else ""
