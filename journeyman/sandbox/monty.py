"""Monty: a safe subset of Python, interpreted in a worker process that knows no files, network or programs.

The interpreter limits time, memory and recursion. What it leaves to its host is done here: printed output is counted as
it comes and the worker is killed when there is too much, `time.sleep` returns at once, a wall clock runs outside the
worker, and values never leave it except as the text of their repr. NOT covered: the worker is an ordinary process of
the user, so a flaw in the interpreter itself would not be contained (that is why its level is 1); and when its host is
killed, a cell that is running goes on until its own time limit.
"""

import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from journeyman.errors import SandboxError, install
from journeyman.sandbox.cell import cell
from journeyman.sandbox.nofiles import NoFiles
from journeyman.sandbox.sandbox import CellResult, Limits, Probe, Spec, Status
from journeyman.sandbox.subset import LATE, Fault, explain

if TYPE_CHECKING:
    from pydantic_monty import ExternalResult, FunctionSnapshot, OSPolicy, SyncSnapshot

GRACE_S = 1.0
"""How much later than the interpreter's own clock the one outside rings."""
CLOSE_S = 5.0
RECURSION = 500
SUBSET = "a subset of Python, in a process of its own"
LEVEL = 1
FLOOD = "there was too much output"
LOST = "; variables are lost"
_CUT = "\n[the rest of the output was cut off]"


class Monty:
    """The backend; see `Provider`."""

    name = "monty"

    async def probe(self) -> Probe:
        """Try on this machine what is promised: a few milliseconds."""
        try:
            sandbox = await self.open(Spec(limits=Limits(memory_mb=16)))
        except SandboxError as error:
            return Probe(backend=self.name, available=False, reason=str(error))

        try:
            guarantees = {promise: await _holds(sandbox, attack, expected) for promise, attack, expected in _ATTACKS}
        finally:
            await sandbox.close()

        return Probe(backend=self.name, available=True, level=LEVEL, reason=SUBSET, guarantees=guarantees)

    async def open(self, spec: Spec) -> "MontySandbox":
        """Start a session.

        Raises:
            SandboxError: more isolation is asked for than a process gives, or monty is not installed or does not start.
        """
        if spec.min_isolation > LEVEL:
            raise SandboxError(
                f"monty gives isolation level {LEVEL}, level {spec.min_isolation} is asked for",
                fix=f"ask for min_isolation <= {LEVEL}, or take another backend",
            )

        if spec.workspace or spec.preload or spec.allow_hosts:
            raise SandboxError("monty has no files, no other modules and no network", fix="take another backend")

        sandbox = MontySandbox(spec)
        await sandbox.start()
        return sandbox


class MontySandbox(NoFiles):
    """One session; see `Sandbox`. Cells run one after another, each in a thread that waits for the worker."""

    def __init__(self, spec: Spec) -> None:
        self.probe = Probe(backend="monty", available=True, level=LEVEL, reason=SUBSET)
        self._spec = spec
        self._lock = anyio.Lock()
        self._worker: _Worker | None = None
        self._closed = False

    async def start(self) -> "_Worker":
        """Have a worker ready. Raises SandboxError."""
        if self._worker is None:
            self._worker = await anyio.to_thread.run_sync(_Worker, self._spec)

        return self._worker

    async def run_python(self, code: str, *, timeout: float | None = None) -> CellResult:  # noqa: ASYNC109 - the sandbox enforces it
        """Run one cell. Whatever the code does is in the result.

        Raises:
            SandboxError: the session is closed, or no worker can be started.
        """
        async with self._lock:
            if self._closed:
                raise SandboxError("this sandbox is closed", fix="open another one")

            worker = await self.start()
            started = time.perf_counter()
            result = await self._run(worker, code, timeout)
            wall_ms = (time.perf_counter() - started) * 1e3
            if worker.usable(result.status):
                return result.model_copy(update={"wall_ms": wall_ms})

            await self._drop()
            return result.model_copy(update={"wall_ms": wall_ms, "error": result.error + LOST})

    async def reset(self) -> None:
        """Forget all variables."""
        async with self._lock:
            await self._drop()

    async def close(self) -> None:
        """End the worker; the session cannot be used any more."""
        self._closed = True
        async with self._lock:
            await self._drop()

    async def _run(self, worker: "_Worker", code: str, timeout: float | None) -> CellResult:  # noqa: ASYNC109 - see above
        wall_s = self._spec.limits.wall_s
        limit = wall_s + GRACE_S if timeout is None or timeout >= wall_s else timeout
        try:
            with anyio.fail_after(limit):
                return await anyio.to_thread.run_sync(worker.run, code, abandon_on_cancel=True)
        except TimeoutError:
            worker.kill()
            return worker.result("timeout", error=LATE)
        except anyio.get_cancelled_exc_class():
            worker.kill()
            await self._drop()
            raise

    async def _drop(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            with anyio.move_on_after(CLOSE_S, shield=True):
                await anyio.to_thread.run_sync(worker.close, abandon_on_cancel=True)


Call = Callable[[str, tuple[Any, ...], dict[str, Any]], Awaitable[Any]]


async def run_program(source: str, names: Collection[str], call: Call, limits: Limits | None = None) -> CellResult:
    """Run a program that may call functions of its host: while one is done, the program stands still.

    Args:
        source: the program.
        names: of the functions.
        call: does one, given its name and arguments; what it takes is not the program's time.
        limits: of the program itself.

    Raises:
        SandboxError: no worker can be started. What `call` raises passes too.
    """
    spec = Spec(limits=limits or Limits())
    worker = await anyio.to_thread.run_sync(_Worker, spec)
    step = partial(worker.begin, source, names)
    try:
        while True:
            with anyio.fail_after(spec.limits.wall_s + GRACE_S):
                paused = await anyio.to_thread.run_sync(step, abandon_on_cancel=True)

            if isinstance(paused, CellResult):
                return paused

            answer = await call(str(paused.function_name), paused.args, paused.kwargs)
            step = partial(worker.go_on, paused, answer)
    except TimeoutError:
        return worker.result("timeout", error=LATE)
    finally:
        worker.kill()
        with anyio.move_on_after(CLOSE_S, shield=True):
            await anyio.to_thread.run_sync(worker.close, abandon_on_cancel=True)


class _Worker:
    """A worker process and its one session. Everything but `kill` and `printed` blocks and belongs into a thread."""

    def __init__(self, spec: Spec) -> None:
        try:
            import pydantic_monty  # noqa: PLC0415 - a heavy import
        except ImportError as error:
            raise SandboxError(f"monty cannot be loaded: {error}", fix=install("pydantic-monty")) from error

        limits = spec.limits
        self._room = limits.output_kb * 1024
        self._output: list[tuple[str, str]] = []
        self._flooded = False
        self._code = cell("")
        self._names: frozenset[str] = frozenset()
        self._pool = pydantic_monty.Monty(min_processes=0, max_processes=1)
        self._session = self._pool.checkout(
            limits={
                "max_feed_duration_secs": limits.wall_s,
                "max_memory": limits.memory_mb * 1024 * 1024,
                "max_recursion_depth": RECURSION,
            },
            os_policy=_os_policy(spec.seed),
        )
        self._open = contextlib.ExitStack()
        try:
            self._open.enter_context(self._pool)
            self._open.enter_context(self._session)
        except (OSError, RuntimeError, pydantic_monty.MontyError) as error:
            self._open.close()
            raise SandboxError(f"monty's worker does not start: {error}", fix="reinstall pydantic-monty") from error

        self._pid = self._session.worker_pid

    def run(self, source: str) -> CellResult:
        import pydantic_monty  # noqa: PLC0415 - a heavy import

        self._output = []
        self._flooded = False
        code = cell(source)
        show = _SHOW % (self._room + 1)
        try:
            self._session.feed_run(code.source, print_callback=self._print)
            value = self._session.feed_run(show, print_callback=self._print) if code.has_value else None
        except pydantic_monty.MontyError as error:
            return self._failed(explain(error, code))
        except RuntimeError as error:  # the pool's own refusals, such as a session that has ended
            return self._failed(Fault("lost", f"the sandbox's session ended: {error}"))

        if value and len(value) > self._room:
            return self.result("output_limit", value=value[: self._room] + _CUT, error=FLOOD)

        return self.result("ok", value=value)

    def begin(self, source: str, names: Collection[str]) -> "FunctionSnapshot | CellResult":
        """As far as the first call of one of these functions, or to the end."""
        self._output, self._flooded, self._code, self._names = [], False, cell(source), frozenset(names)
        known = dict.fromkeys(names, _by_host)
        return self._on(
            lambda: self._session.feed_start(self._code.source, external_lookup=known, print_callback=self._print)
        )

    def go_on(self, call: "FunctionSnapshot", answer: "ExternalResult") -> "FunctionSnapshot | CellResult":
        """The same from there on."""
        return self._on(lambda: call.resume(answer))

    def _on(self, step: "Callable[[], SyncSnapshot]") -> "FunctionSnapshot | CellResult":
        import pydantic_monty  # noqa: PLC0415 - a heavy import

        try:
            paused = step()
            while not isinstance(paused, pydantic_monty.MontyComplete):
                if isinstance(paused, pydantic_monty.FunctionSnapshot) and paused.function_name in self._names:
                    return paused

                paused = paused.resume_auto()

            shown = _SHOW % (self._room + 1)
            value = self._session.feed_run(shown, print_callback=self._print) if self._code.has_value else None
        except pydantic_monty.MontyError as error:
            return self._failed(explain(error, self._code))
        except RuntimeError as error:  # as in `run`
            return self._failed(Fault("lost", f"the sandbox's session ended: {error}"))

        return self.result("ok", value=value)

    def kill(self) -> None:
        """End the process now, from any thread; `run` then returns."""
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    def close(self) -> None:
        import pydantic_monty  # noqa: PLC0415 - a heavy import

        with contextlib.suppress(pydantic_monty.MontyError, RuntimeError):
            self._open.close()

    def usable(self, status: Status) -> bool:
        """Whether the session can go on: not without defined memory after a time limit, nor with full memory."""
        return status in {"ok", "error", "output_limit"} and not self._flooded and bool(self._session.worker_pid)

    def printed(self, stream: str) -> str:
        return "".join(text for name, text in list(self._output) if name == stream)

    def _print(self, stream: str, text: str) -> None:
        if self._flooded:
            return

        room = self._room - sum(len(shown) for _, shown in self._output)
        self._output.append((stream, text[:room]))
        if len(text) > room:
            self._flooded = True
            self._output.append((stream, _CUT))
            self.kill()

    def _failed(self, fault: Fault) -> CellResult:
        if self._flooded:
            return self.result("output_limit", error=FLOOD)

        return self.result(fault.status, error=fault.text, denials=fault.denials)

    def result(self, status: Status, **rest: Any) -> CellResult:
        return CellResult(status=status, stdout=self.printed("stdout"), stderr=self.printed("stderr"), **rest)


def _by_host(*_: Any, **__: Any) -> None:
    """Never called: a program that calls it is stopped there."""


_SHOW = "None if _ is None else f'{_!r}'[:%d]"
_ATTACKS = (
    ("no_files", "open('/etc/hostname')", "error"),
    ("no_network", "import socket", "error"),
    ("no_programs", "import subprocess", "error"),
    ("memory_limit", "x = [0] * 10**8", "oom"),
    ("time_limit", "while True: pass", "timeout"),
)


async def _holds(sandbox: MontySandbox, attack: str, expected: str) -> bool:
    limit = 0.05 if expected == "timeout" else None  # on a busy machine the others may take longer than that
    return (await sandbox.run_python(attack, timeout=limit)).status == expected


def _os_policy(seed: int | None) -> "OSPolicy":
    return {"sleep": "zero"} if seed is None else {"sleep": "zero", "random_start": {"seed": seed}}
