"""A folder for each candidate: what several attempts do must not happen several times, nor to each other.

Candidates work in copies of the run's folder, with our own servers over the copy, so that code they run, and what it
remembers, is apart too. What else may have an effect is held back, for there is one world outside of the folder: a
function of the user's, another's server, code that may reach hosts or is confined by nothing. In the end the changes of
the chosen one are written to the real folder, unless somebody else changed the same files meanwhile.
"""

import os
import shutil
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from itertools import count
from pathlib import Path

from anyio import to_thread
from pydantic import JsonValue

from journeyman.agent.parts import Toolbox
from journeyman.agent.strategies.carry import MOST_BYTES, carry
from journeyman.errors import ToolError
from journeyman.sandbox.paths import Root
from journeyman.sandbox.refusals import told
from journeyman.tools.catalog import Catalog
from journeyman.tools.catalog import Toolbox as Tools
from journeyman.tools.target import Builtin
from journeyman.tools.tool import Output, Report, Tool
from journeyman.traces.events import CallFinished, CallProposed
from journeyman.traces.messages import ToolSpec
from journeyman.traces.writer import Stored

MOST_FILES, LARGEST = 5000, 1 << 20
Stamp = tuple[int, int, int]


class Held:
    """A tool that has an effect outside of the copy."""

    contained = False

    def __init__(self, tool: Tool, why: str, noted: set[str]) -> None:
        self._tool, self._why, self._noted = tool, why, noted

    @property
    def spec(self) -> ToolSpec:
        return self._tool.spec

    def parse(self, arguments: str) -> dict[str, JsonValue]:
        self._tool.parse(arguments)
        self._noted.add(self.spec.identity)
        raise ToolError(f"{self.spec.identity} is not called here: {self._why}")

    async def call(self, arguments: dict[str, JsonValue], report: Report) -> Output:
        raise AssertionError(arguments, report)  # nothing gets past `parse`


class Ground:
    """The folder that candidates begin with.

    Args:
        root: the run's folder; empty for none.
        scratch: where copies may lie.
        catalog: the run's tools.
        toolbox: those of them that are offered.
        reads: whether a tool changes nothing.
    """

    def __init__(
        self, root: str, scratch: Path, catalog: Catalog, toolbox: Toolbox, reads: Callable[[ToolSpec], bool]
    ) -> None:
        self._root, self._scratch = Path(root) if root else None, scratch
        self._catalog, self._toolbox, self._reads = catalog, toolbox, reads
        self._base: dict[str, Stamp] = {}
        self._numbers = count()
        self.held: set[str] = set()
        """Tools that a candidate wanted and that were held back."""
        self.copies = not all(map(reads, toolbox.specs)) and bool(self._own(scratch))
        """Each candidate has a folder of its own."""
        self._why = "this is one of several attempts, and what it does outside of its folder cannot be taken back"

    async def survey(self) -> None:
        """Look at the folder before anybody works in it; one that is too large is only read."""
        if not self.copies or self._root is None:
            return

        found = await to_thread.run_sync(_stamps, self._root)
        self._base, self.copies = found or {}, found is not None
        if found is None:
            self._why = "the folder is too large to give each of several attempts a copy of it"

    @asynccontextmanager
    async def branch(
        self, of: Path | None, stem: Sequence[Stored] = (), *, calls: bool = True
    ) -> AsyncGenerator[tuple[Toolbox, Path | None]]:
        """Tools over a new copy of the folder, or of another candidate's; the copy stays, for the choice.

        What code had remembered in `stem`, the run that is gone on with, it remembers here: the cells run again first.
        Who calls nothing gets no tools.
        """
        if not calls or not self.copies or self._root is None:
            yield Tools(self._tools({}) if calls else ()), None
            return

        folder = self._scratch / str(next(self._numbers))
        await to_thread.run_sync(_copy, of or self._root, folder)
        async with Catalog(self._own(folder)) as own:
            if of is not None and await _ran_again(own, stem):
                await to_thread.run_sync(_restore, of, folder)

            yield Tools(self._tools({spec.name: tool for spec in own.specs if (tool := own.find(spec.name))})), folder

    def _own(self, folder: Path) -> list[Builtin]:
        """Our servers over a copy, and whose effects stay in it."""
        from journeyman.sandbox.unsafe import NAME as UNSAFE  # noqa: PLC0415 - few runs are searches

        ours = self._catalog.built_in(folder)
        return [each for each in ours if not (each.name == "code" and (each.hosts or each.sandbox == UNSAFE))]

    def _tools(self, own: dict[str, Tool]) -> Iterator[Tool]:
        for spec in self._toolbox.specs:
            tool = own.get(spec.name) or self._toolbox.find(spec.name)
            if tool is not None:
                kept = spec.name in own or self._reads(spec) or getattr(tool, "contained", False)
                yield tool if kept else Held(tool, self._why, self.held)

    def state(self, folder: Path | None) -> str:
        """A hash of what a candidate changed; empty where that is nothing."""
        changed, gone = self._changes(folder)
        if folder is None or not (changed or gone):
            return ""

        parts = [f"{path} {sha256((folder / path).read_bytes()).hexdigest()}" for path in changed]
        return sha256("\n".join([*parts, *gone]).encode()).hexdigest()[:16]

    def apply(self, folder: Path | None) -> tuple[tuple[str, ...], str]:
        """Write a candidate's changes to the real folder: the paths, and why they were not where that is so."""
        if folder is not None and _stamps(folder) is None:
            return (), "nothing was changed: what it left is too large to be carried over"

        changed, gone = self._changes(folder)
        if folder is None or self._root is None or not (changed or gone):
            return (), ""

        now = _stamps(self._root)
        late = [path for path in [*changed, *gone] if now is None or now.get(path) != self._base.get(path)]
        if late:
            return (), f"nothing was changed: {told(late[0])} was changed by somebody else meanwhile"

        return carry(folder, self._root, changed, gone)

    def _changes(self, folder: Path | None) -> tuple[list[str], list[str]]:
        found = _stamps(folder) if folder is not None else None
        if found is None:
            return [], []

        return [path for path in found if found[path] != self._base.get(path)], sorted(self._base.keys() - found.keys())


async def _ran_again(own: Catalog, stem: Sequence[Stored]) -> bool:
    """Run the code of a run again, for what it leaves in its session; was there any."""
    calls = {each.event.call_id: each.event for each in stem if isinstance(each.event, CallProposed)}
    done = [each.event.result for each in stem if isinstance(each.event, CallFinished) and each.event.status == "ok"]
    cells = [(tool, calls[result.call_id]) for result in done if (tool := own.find(result.name)) and _keeps(tool.spec)]
    for tool, call in cells:
        with suppress(ToolError):  # it failed then too, or does now: its files are restored all the same
            await tool.call(dict(call.arguments or {}), lambda _text, _fraction: None)

    return bool(cells)


def _keeps(spec: ToolSpec) -> bool:
    """Its server remembers what it did."""
    return spec.server == "code"


def _restore(of: Path, folder: Path) -> None:
    for each in folder.iterdir():
        shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()

    shutil.copytree(of, folder, symlinks=True, dirs_exist_ok=True)


def texts(folder: Path) -> dict[str, str | None]:
    """Path -> text of a candidate's files; None for what is no text, or too long."""
    return {path: _text(Root(folder), path) for path in _stamps(folder) or ()}


def _text(root: Root, path: str) -> str | None:
    try:
        return root.read(path, limit=LARGEST).data.decode()
    except (ToolError, UnicodeDecodeError):
        return None


def _stamps(root: Path) -> dict[str, Stamp] | None:
    """Size, time and mode of each regular file; None where there are too many."""
    stamps: dict[str, Stamp] = {}
    for folder, _, names in os.walk(root, followlinks=False):
        for name in names:
            path = Path(folder, name)
            status = path.lstat()
            if path.is_file() and not path.is_symlink():
                stamps[path.relative_to(root).as_posix()] = (status.st_size, status.st_mtime_ns, status.st_mode & 0o777)

            if len(stamps) > MOST_FILES:
                return None

    return stamps if sum(size for size, _, _ in stamps.values()) <= MOST_BYTES else None


def _copy(root: Path, folder: Path) -> None:
    def special(where: str, names: list[str]) -> list[str]:
        paths = ((name, Path(where, name)) for name in names)
        return [name for name, path in paths if not (path.is_symlink() or path.is_file() or path.is_dir())]

    shutil.copytree(root, folder, symlinks=True, ignore=special)
