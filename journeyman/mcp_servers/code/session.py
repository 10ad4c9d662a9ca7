"""Python for a model: one sandboxed session, opened on first use, whose results are short enough to read."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

import anyio

from journeyman.errors import SandboxError, ToolError
from journeyman.sandbox.egress import Decision
from journeyman.sandbox.sandbox import Ran, Rich, Sandbox, Spec
from journeyman.sandbox.select import open_sandbox

MAX_CHARACTERS = 16_000
MAX_CONNECTIONS = 20
MAX_CODE = 100_000
R = TypeVar("R", bound=Ran)


class Done(NamedTuple):
    text: str
    shown: tuple[Rich, ...] = ()
    made: tuple[str, ...] = ()
    """Paths of files."""


class Session:
    """State persists from call to call, until the code is stopped or the session closed; then it starts afresh."""

    def __init__(self, spec: Spec | None = None, *, artefacts: bool = False) -> None:
        self._spec = spec or Spec()
        self._artefacts = artefacts
        self._made: dict[str, object] = {}
        self._lock = anyio.Lock()
        self._sandbox: Sandbox | None = None

    async def python(self, code: str) -> str:
        """What the code printed, then the value of its last expression.

        Raises:
            ToolError: the code failed, was stopped or needs what the sandbox lacks; with what it printed so far.
            SandboxError: there is no sandbox here.
        """
        return (await self.cell(code)).text

    async def cell(self, code: str) -> "Done":
        """The same, with the pictures it showed and the files it made."""
        async with self._lock:
            result = await self._run(code, lambda sandbox: sandbox.run_python(code))
            text = _text(result, result.value or "" if result.status == "ok" else result.error or result.status)
            return await self._done(result, text, result.rich)

    async def shell(self, command: str) -> "Done":
        """What a shell command wrote. Raises as `python` does."""
        async with self._lock:
            result = await self._run(command, lambda sandbox: sandbox.exec(("sh", "-c", command)))
            return await self._done(result, _text(result, "" if result.status == "ok" else result.error), ())

    async def read(self, path: str) -> bytes:
        """A file that was made. Raises ToolError where there is none, SandboxError where there are no files."""
        async with self._lock:
            if self._sandbox is None:
                raise ToolError(f"no such file: {path}; nothing was run yet")

            return await self._sandbox.read(path)

    async def _run(self, code: str, work: Callable[[Sandbox], Awaitable[R]]) -> R:
        """In the sandbox that there is; in a new one where it ended, which its last result told."""
        if len(code) > MAX_CODE:
            raise ToolError(f"the code has {len(code)} characters; at most {MAX_CODE} are allowed")

        if self._sandbox is not None:
            try:
                return await work(self._sandbox)
            except SandboxError:
                await self._close()

        self._made = {}
        self._sandbox = await open_sandbox(self._spec)
        return await work(self._sandbox)

    async def _done(self, result: Ran, text: str, shown: tuple[Rich, ...]) -> "Done":
        if result.status != "ok":
            raise ToolError(text)

        return Done(text or "(no output)", shown, await self._fresh() if self._artefacts else ())

    async def _fresh(self) -> tuple[str, ...]:
        """Files that were made or changed since this was last asked."""
        if self._sandbox is None:
            return ()

        try:
            stamps = {path: await self._stamp(path) for path in await self._sandbox.artefacts()}
        except (SandboxError, ToolError):  # a sandbox without files, or one that has just ended
            return ()

        fresh = tuple(path for path, stamp in stamps.items() if self._made.get(path) != stamp)
        self._made = stamps
        return fresh

    async def _stamp(self, path: str) -> object:
        assert self._sandbox is not None  # noqa: S101 - its only caller has looked
        folder, _, name = path.rpartition("/")
        return next((each.stamp for each in await self._sandbox.list(folder or ".") if each.name == name), None)

    async def close(self) -> None:
        async with self._lock:
            await self._close()

    async def _close(self) -> None:
        sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None:
            await sandbox.close()


def _text(result: Ran, last: str) -> str:
    pieces = [result.stdout.rstrip("\n"), result.stderr.rstrip("\n"), last]
    connections = dict.fromkeys(map(_told, result.connections))
    return "\n".join(filter(None, [_shortened("\n".join(filter(None, pieces))), *list(connections)[:MAX_CONNECTIONS]]))


def _told(decision: Decision) -> str:
    """What was decided about a connection, for the model and the trace."""
    where = f"connection to {decision.host}:{decision.port}"
    return f"[{where} at {decision.address}]" if decision.allowed else f"[no {where}: {decision.reason}]"


def _shortened(text: str) -> str:
    """Begin and end of a long text: what matters is rarely in the middle."""
    if len(text) <= MAX_CHARACTERS:
        return text

    half = MAX_CHARACTERS // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
