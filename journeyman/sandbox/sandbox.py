"""Where untrusted code runs: one small interface, backends behind it.

Backends differ in what they contain, and say so: `Probe.guarantees` lists only what was tried on this machine.
"""

from typing import Literal, Protocol

from journeyman.traces.messages import Value

Status = Literal["ok", "error", "timeout", "oom", "output_limit", "crashed", "protocol_violation", "lost"]


class Limits(Value):
    wall_s: float = 10.0
    memory_mb: int = 256
    output_kb: int = 64
    """stdout and stderr together; what comes after is cut and the status says so."""


class Spec(Value):
    """What is asked for. A backend that cannot give all of it refuses to open."""

    backend: str = "auto"
    min_isolation: int = 1
    """0 none, 1 a confined process or a safe subset, 2 namespaces, 3 with resource control, 4 a kernel of its own."""
    limits: Limits = Limits()
    seed: int | None = None


class Probe(Value):
    backend: str
    available: bool
    level: int = 0
    reason: str = ""
    """Why it is not available, or what it lacks."""
    guarantees: dict[str, bool] = {}


class CellResult(Value):
    """What one piece of code did."""

    status: Status
    stdout: str = ""
    stderr: str = ""
    value: str | None = None
    """repr of the last expression, as a notebook shows it."""
    error: str = ""
    """The exception as the code's author would read it, or why it was stopped."""
    wall_ms: float = 0.0
    denials: tuple[str, ...] = ()


class Sandbox(Protocol):
    """One open session. Python state persists from cell to cell until `reset`, a crash or a timeout."""

    async def run_python(self, code: str, *, timeout: float | None = None) -> CellResult: ...  # noqa: ASYNC109 - the sandbox enforces it

    async def reset(self) -> None: ...

    async def close(self) -> None: ...


class Provider(Protocol):
    """A backend."""

    name: str

    async def probe(self) -> Probe:
        """What this machine lets the backend prove."""
        ...

    async def open(self, spec: Spec) -> Sandbox:
        """Start a session.

        Raises:
            SandboxError: it cannot give what the spec asks for.
        """
        ...
