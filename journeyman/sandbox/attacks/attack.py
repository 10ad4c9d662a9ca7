"""Attacks on a sandbox, and the arena they are made from.

What an attack says of itself proves nothing: one that failed to run would look contained. So each says first that it
began, and whether it got out is witnessed outside, by what the arena prepared: a listener that was reached, a secret
that came back, a file that appeared, a process that the kernel lists. That the attacks work is shown by running them
where nothing contains them.
"""

import contextlib
import os
import secrets
import signal
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any, Literal

import anyio
import anyio.to_thread
from pydantic import computed_field

from journeyman.errors import JourneymanError, SandboxError
from journeyman.safe import safe
from journeyman.sandbox.attacks.witness import pids, text_of
from journeyman.sandbox.sandbox import CellResult, Limits, Provider, Ran, Sandbox, Spec
from journeyman.traces.messages import Value

Group = Literal["system", "host", "forging"]
ATTACK_S = 60.0
"""After that the caller was kept waiting, which counts as an escape."""
CELL_S = 10.0
KERNEL = 4
"""The isolation level of a sandbox with a kernel of its own."""
NONE: Mapping[str, Any] = {}
SHOWN = 160
NOT_BEGUN = ("could not begin", "this sandbox has no files")
PRELUDE = """
import ctypes, json, os, signal, socket, struct, sys, threading, time
TOKEN, OUTSIDE, CALLER = {token!r}, {outside!r}, {caller}
ctypes.CDLL(None).prctl(15, TOKEN.encode(), 0, 0, 0)  # the name by which the host finds this process and its children
print(TOKEN)
def attempt(function, *arguments):
    try:
        return function(*arguments)
    except BaseException as error:
        return f"{{type(error).__name__}}: {{error}}"
def everything(path):
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(number, 1 << 20).decode("latin-1")
    finally:
        os.close(number)
"""


class Escaped(Exception):
    """Raised by an attack that got out, with the evidence."""


class Attack(Value):
    name: str
    group: Group
    what: str
    """What is tried, in words."""
    run: "Callable[[Arena], Awaitable[str]]"
    """Returns what held; raises Escaped."""


class Verdict(Value):
    """How one attack ended."""

    name: str
    group: Group
    contained: bool
    detail: str
    """What held, or the evidence of an escape."""

    @computed_field
    @property
    def begun(self) -> bool:
        """Whether the sandbox knows what it takes: where not even this is there, nothing was shown to hold."""
        return not (self.contained and self.detail.startswith(NOT_BEGUN))


SUITE: list[Attack] = []


def attack(group: Group, what: str) -> Callable[[FunctionType], None]:
    """Put a function of an arena into the suite, under its name."""

    def keep(run: FunctionType) -> None:
        SUITE.append(Attack(name=run.__name__.replace("_", "-"), group=group, what=what, run=run))

    return keep


class Arena:
    """What is outside of the sandbox, prepared so that an escape leaves a trace."""

    def __init__(self, provider: Provider, folder: Path) -> None:
        self.provider = provider
        self.folder = folder
        self.token = f"jm{secrets.token_hex(6)}"
        """Names our processes and whatever they may leave behind. At most 15 characters, as the kernel keeps them."""
        self.secret = f"secret-{secrets.token_hex(12)}"
        """Is in a file, the environment and an inheritable descriptor of the caller; must never come back."""
        self.file = folder / "secret.txt"
        self.file.write_text(self.secret, "utf-8")

    @contextlib.asynccontextmanager
    async def open(self, limits: Mapping[str, Any] = NONE, **asked: Any) -> "AsyncGenerator[Box]":
        spec = Spec(backend=self.provider.name, min_isolation=0, limits=Limits(**{"wall_s": CELL_S, **limits}), **asked)
        before = set(pids())
        sandbox = await self.provider.open(spec)
        try:
            yield Box(self, sandbox, spec.limits, before)
        finally:
            await sandbox.close()

    def processes(self) -> list[int]:
        """Living ones that carry our name, in whatever namespace, as the kernel lists them here."""
        stats = {pid: text_of(f"/proc/{pid}/stat") for pid in pids()}
        return [pid for pid, stat in stats.items() if f"({self.token}) " in stat and f"({self.token}) Z" not in stat]

    def refuse_secret(self, *texts: str | bytes) -> None:
        """Raises Escaped if the secret is in one of them."""
        for text in texts:
            if self.secret in (text if isinstance(text, str) else text.decode("latin-1")):
                raise Escaped("the caller's secret came back")

    def end(self) -> None:
        """End what got out."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Box:
    """A sandbox under attack."""

    def __init__(self, arena: Arena, sandbox: Sandbox, limits: Limits, before: set[int]) -> None:
        self.arena, self.sandbox, self.limits = arena, sandbox, limits
        self._before = before

    @property
    def own_kernel(self) -> bool:
        """Whether system calls are answered by a kernel that is not the host's."""
        return self.sandbox.probe.level >= KERNEL

    def strangers(self) -> list[int]:
        """Kernels of sandboxes that were started with this one, where the host cannot see what runs on them."""
        fresh = [pid for pid in pids() if pid not in self._before] if self.own_kernel else []
        return [pid for pid in fresh if "runsc-sandbox" in text_of(f"/proc/{pid}/cmdline")]

    async def run(self, code: str, timeout: float | None = None) -> CellResult:  # noqa: ASYNC109 - handed on
        """One cell. Raises SandboxError where it failed before the attack began."""
        prelude = PRELUDE.format(token=self.arena.token, outside=str(self.arena.folder), caller=os.getpid())
        result = await self.sandbox.run_python(prelude + code, timeout=timeout)
        if result.status == "error" and self.arena.token not in result.stdout:
            raise SandboxError(f"could not begin: {result.error.splitlines()[-1]}")

        return result

    def note(self, result: CellResult) -> str:
        """What the attack saw from inside, in short."""
        said = result.stdout.partition(f"{self.arena.token}\n")[2]
        return safe(" ".join((result.value or said or result.error or result.status).split()), SHOWN)


@contextlib.contextmanager
def arena(provider: Provider) -> Generator[Arena]:
    """A place to attack this backend from. Raises SandboxError where attacks cannot be witnessed."""
    if not Path("/proc/self/comm").exists():
        raise SandboxError(
            "the attacks are witnessed through /proc, which only Linux has", fix="run the suite on Linux"
        )

    with tempfile.TemporaryDirectory(prefix="journeyman-arena-") as folder:
        Path(folder).chmod(0o755)
        place = Arena(provider, Path(folder))
        os.environ["JOURNEYMAN_ARENA_SECRET"] = place.secret
        inherited = os.open(place.file, os.O_RDONLY)
        os.set_inheritable(inherited, True)
        try:
            yield place
        finally:
            place.end()
            os.close(inherited)
            del os.environ["JOURNEYMAN_ARENA_SECRET"]


async def assault(
    provider: Provider, suite: "list[Attack]", told: Callable[[Verdict], None] = lambda _: None
) -> list[Verdict]:
    """Make these attacks, one after another, each on a fresh sandbox.

    Raises:
        SandboxError: the backend does not open here or isolates nothing, or attacks cannot be witnessed.
    """
    verdicts = []
    with arena(provider) as place:
        async with place.open() as box:
            if box.sandbox.probe.level < 1:
                raise SandboxError(
                    f"{provider.name} contains nothing: the attacks would be made on this machine",
                    fix="attack a sandbox: journeyman sandbox doctor",
                )

        for each in suite:
            verdicts.append(await verdict(each, place))
            told(verdicts[-1])

    return verdicts


def counted(verdicts: Sequence[Verdict]) -> str:
    """In a sentence."""
    held = sum(each.contained and each.begun for each in verdicts)
    idle = sum(not each.begun for each in verdicts)
    rest = f"; {idle} could not begin, as the sandbox knows no such operation" if idle else ""
    return f"{held} of {len(verdicts)} contained{rest}"


async def verdict(each: Attack, place: Arena) -> Verdict:
    """Make one attack."""
    contained, detail = True, ""
    try:
        with anyio.fail_after(ATTACK_S):
            detail = await each.run(place)
    except Escaped as escaped:
        contained, detail = False, str(escaped)
    except TimeoutError:
        contained, detail = False, f"the caller was kept waiting for more than {ATTACK_S:g} s"
    except JourneymanError as error:  # the attack was noticed, and told as an error that callers expect
        detail = str(error)
    except (OSError, ValueError, TypeError, LookupError, RuntimeError, RecursionError) as error:
        contained, detail = False, f"the caller fell over: {type(error).__name__}: {error}"
    finally:
        place.end()

    return Verdict(name=each.name, group=each.group, contained=contained, detail=safe(detail, SHOWN))


def unless(evidence: object, words: str, held: str) -> str:
    """What held. Raises Escaped where there is evidence."""
    if evidence:
        raise Escaped(words)

    return held


def ended(result: Ran) -> str:
    return f"{result.status}: {result.error.splitlines()[-1]}" if result.error else result.status
