"""The host's side of a sandbox that a supervisor runs: asks it, and believes nothing that it cannot bound.

Backends differ in how the supervisor came to be, which is theirs: they hand over a `Line`.
"""

import json
import os
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from time import perf_counter
from typing import Any, Protocol, TypeVar

import anyio
from anyio.abc import ByteStream

from journeyman.errors import SandboxError, ToolError
from journeyman.sandbox.egress import Decision
from journeyman.sandbox.entry import Entry
from journeyman.sandbox.inside.frames import HEADER_MAX, Frame, Malformed, Reader, pack, split
from journeyman.sandbox.paths import MAX_READ
from journeyman.sandbox.sandbox import CellResult, ExecResult, Limits, Probe, Ran, Rich, Sandbox, Spec, Status

GRACE_S = 5.0
"""How much longer than the supervisor's own clock the host waits before it ends the sandbox."""
ASK_S = 30.0
REPLY_MAX = 16 * 1024 * 1024
MEBIBYTE = 1024 * 1024
CELLS_KEPT = 1000
"""Cells that `branch` may run again."""
GONE = "the sandbox ended; its files and variables are lost"
CUT = "\n[the rest of the output was cut off]"
MIMES = frozenset({"image/png", "image/jpeg", "image/svg+xml", "text/html"})
_PARTS = MIMES | {"stdout", "stderr", "value", "error"}
_STATUSES: dict[str, Status] = {
    status: status for status in ("ok", "error", "timeout", "oom", "output_limit", "crashed", "protocol_violation")
}
R = TypeVar("R", bound=Ran)
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


class Line(Protocol):
    """A supervisor that is there."""

    @property
    def stream(self) -> ByteStream: ...

    async def end(self) -> None:
        """Kill every process of the sandbox, and return when they are dead. Twice is the same as once."""
        ...

    def oom(self) -> bool:
        """Whether the kernel has ended something for want of memory since this was last asked."""
        ...


class Box:
    """One session; see `Sandbox`.

    `again` opens another one of the same kind; `decided` tells what was decided about connections since it was last
    asked.
    """

    def __init__(
        self,
        spec: Spec,
        probe: Probe,
        line: Line,
        again: "Callable[[Spec], Awaitable[Box]]",
        decided: Callable[[], tuple[Decision, ...]] = tuple,
    ) -> None:
        self.probe = probe
        self._spec = spec
        self.line = line
        self._again = again
        self._decided = decided
        self._lock = anyio.Lock(fast_acquire=True)
        self._reader = Reader(max(REPLY_MAX, 2 * spec.limits.disk_mb * MEBIBYTE))
        self._owed = 0
        self._closed = ""
        self._cells: list[tuple[str, Status]] = []

    async def begin(self, **settings: Any) -> None:
        """Tell the supervisor its settings; see there. Raises SandboxError."""
        await self._do("begin", **settings)

    async def run_python(self, code: str, *, timeout: float | None = None) -> CellResult:  # noqa: ASYNC109 - the sandbox enforces it
        answer = await self._run("cell", code.encode(errors="surrogatepass"), timeout)
        result = self._result(CellResult, answer)
        if result.status in {"ok", "error"} and len(self._cells) < CELLS_KEPT:
            self._cells.append((code, result.status))
        elif result.error.endswith("variables are lost"):
            self._cells.clear()

        return result

    async def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - see above
    ) -> ExecResult:
        answer = await self._run("exec", stdin, timeout, argv=list(argv), env=dict(env or {}))
        return self._result(ExecResult, answer)

    async def read(self, path: str) -> bytes:
        return (await self._do("read", path=path, limit=MAX_READ))[1]

    async def write(self, path: str, data: bytes) -> None:
        await self._do("write", data, path=path)

    async def list(self, path: str = ".") -> Sequence[Entry]:
        _, body = await self._do("list", path=path)
        with _sense():
            return [Entry(name, kind, size, tuple(stamp)) for name, kind, size, stamp in json.loads(body)]

    async def artefacts(self) -> Sequence[str]:
        _, body = await self._do("changed")
        with _sense():
            return sorted(json.loads(body), key=os.fsencode)

    async def snapshot(self) -> int:
        header, _ = await self._do("snapshot")
        with _sense():
            return int(header["id"])

    async def restore(self, snapshot: int) -> None:
        await self._do("restore", id=snapshot)
        self._cells.clear()

    async def reset(self) -> None:
        await self.restore(0)

    async def branch(self, n: int) -> Sequence[Sandbox]:
        """See `Sandbox`.

        Raises:
            SandboxError: a cell did not come to the same again, or the files are more than may be copied.
        """
        _, files = await self._do("pack", limit=self._spec.limits.disk_mb * MEBIBYTE)
        branches: list[Box] = []
        try:
            for _ in range(n):
                branches.append(await self._again(self._spec))
                await branches[-1].become(files, self._cells)
        except BaseException:
            with anyio.CancelScope(shield=True):
                for branch in branches:
                    await branch.close()

            raise

        return branches

    async def close(self) -> None:
        self._closed = self._closed or "this sandbox is closed"
        with anyio.CancelScope(shield=True):
            await self.line.end()
            await self.line.stream.aclose()

    async def fill(self, archive: bytes) -> None:
        """Have the workspace begin with an archive that `copies.pack` made."""
        await self._do("unpack", archive)

    async def become(self, files: bytes, cells: Sequence[tuple[str, Status]]) -> None:
        """Run another session's cells, then take its files. Raises SandboxError."""
        for number, (code, status) in enumerate(cells):
            if (again := await self.run_python(code)).status != status:
                raise SandboxError(
                    f"cell {number + 1} came to {again.status}, not {status}, when it was run again for a branch",
                    fix="branch before code whose outcome depends on more than the code, or open new sandboxes",
                )

        await self.fill(files)

    async def _run(self, op: str, body: bytes, timeout: float | None, **header: Any) -> Frame | Status:  # noqa: ASYNC109 - see above
        limits = self._spec.limits
        seconds = limits.wall_s if timeout is None else min(timeout, limits.wall_s)
        started = perf_counter()
        try:
            header, body = await self._ask(
                {"op": op, "timeout": seconds, "room": limits.output_kb * 1024, **header}, body, seconds + GRACE_S
            )
        except _Lost:
            return "oom" if self.line.oom() else "lost"

        return {**header, "wall_ms": (perf_counter() - started) * 1e3}, body

    def _result(self, kind: type[R], answer: Frame | Status) -> R:
        if isinstance(answer, str):
            return kind(status=answer, error=GONE)

        header, body = answer
        try:
            return kind(**self._fields(header, body, kind))
        except (Malformed, ValueError, TypeError, KeyError):
            return kind(status="protocol_violation", error="the sandbox answered nonsense")

    def _fields(self, header: dict[str, Any], body: bytes, kind: type[Ran]) -> dict[str, Any]:
        pieces = split(header, body, _PARTS)
        texts = {name: data.decode(errors="replace") for name, data in pieces if name not in MIMES}
        fields: dict[str, Any] = {
            "status": _STATUSES[header["status"]],
            "stdout": texts.get("stdout", "") + (CUT if header.get("cut") else ""),
            "stderr": texts.get("stderr", ""),
            "error": texts.get("error", ""),
            "wall_ms": header["wall_ms"],
            "cpu_ms": header["cpu_ms"],
            "max_rss_kb": header["rss_kb"],
        }
        if fields["status"] in {"crashed", "error"} and self.line.oom():
            fields.update(status="oom", error=f"the code needed more memory than it may use; {fields['error']}")

        last = fields["error"].rpartition("\n")[2]
        decisions = self._decided()
        refused = tuple(f"no connection to {each.host}:{each.port}: {each.reason}" for each in decisions if each.reason)
        fields["connections"] = decisions
        fields["denials"] = (*refused, *((last,) if last.startswith("PermissionError") else ()))
        if kind is ExecResult:
            return {**fields, "exit_code": header["exit_code"]}

        rich = tuple(Rich(mime=name, data=data) for name, data in pieces if name in MIMES)
        return {**fields, "rich": rich, **self._value(texts.get("value"), fields["status"])}

    def _value(self, value: str | None, status: Status) -> dict[str, Any]:
        room = self._spec.limits.output_kb * 1024
        if value is None or len(value) <= room:
            return {"value": value}

        return {"value": value[:room] + CUT, "status": "output_limit" if status == "ok" else status}

    async def _do(self, op: str, body: bytes = b"", **header: Any) -> Frame:
        try:
            answer = await self._ask({"op": op, **header}, body, ASK_S)
        except _Lost:
            raise SandboxError(GONE, fix="open another one") from None

        if "refused" in answer[0]:
            raise ToolError(str(answer[0]["refused"]))

        if "failed" in answer[0]:
            raise SandboxError(f"the sandbox could not do it: {answer[0]['failed']}", fix="raise its limits")

        return answer

    async def _ask(self, header: dict[str, Any], body: bytes, seconds: float) -> Frame:
        """One request and its answer.

        Raises:
            SandboxError: the session is closed.
            _Lost: it ended, was silent for too long or spoke nonsense; it is closed now.
        """
        request = pack(header, body)
        if len(request) - len(body) > HEADER_MAX:
            raise SandboxError("the command and its environment are too long", fix="write them into a file")

        async with self._lock:
            if self._closed:
                raise SandboxError(self._closed, fix="open another one")

            try:
                with anyio.fail_after(seconds):
                    return await self._exchange(request)
            except (TimeoutError, Malformed, *_GONE):
                await self._lose()
                raise _Lost from None

    async def _exchange(self, request: bytes) -> Frame:
        stream = self.line.stream
        while self._owed:
            await self._frame()
            self._owed -= 1

        self._owed = 1
        try:
            await stream.send(request)
            answer = await self._frame()
        except anyio.get_cancelled_exc_class():
            # What runs is ended, so that the session can be used again; both answers are read before the next one.
            with anyio.move_on_after(1, shield=True), suppress(anyio.BrokenResourceError):
                await stream.send(pack({"op": "fresh"}))
                self._owed = 2

            self._cells.clear()
            raise

        self._owed = 0
        return answer

    async def _frame(self) -> Frame:
        frame = self._reader.feed(b"")
        while frame is None:
            frame = self._reader.feed(await self.line.stream.receive())

        return frame

    async def _lose(self) -> None:
        self._closed = GONE
        with anyio.CancelScope(shield=True):
            await self.line.end()


class _Lost(Exception):
    """There is nothing at the other end any more."""


@contextmanager
def _sense() -> Generator[None]:
    """What the supervisor answers is not believed to make sense. Raises SandboxError where it makes none."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RecursionError):
        raise SandboxError("the sandbox answered nonsense", fix="open another one") from None


def rlimits(limits: Limits) -> dict[str, int]:
    """What the kernel holds each process to, by the names of `resource`.

    A core of at most one byte is none, and unlike one of none it is not handed to a program of the host's either.
    """
    return {"NOFILE": limits.files, "FSIZE": limits.file_mb * MEBIBYTE, "CORE": 1}
