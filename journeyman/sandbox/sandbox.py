"""Where untrusted code runs: one small interface, backends behind it.

Backends differ in what they contain, and say so: `Probe.guarantees` lists only what was tried on this machine.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from journeyman.sandbox.egress import Decision
from journeyman.sandbox.entry import Entry
from journeyman.traces.messages import Value

Status = Literal["ok", "error", "timeout", "oom", "output_limit", "crashed", "protocol_violation", "lost"]
"""lost: the sandbox itself is gone, files too. Else files are kept; where variables are gone, the error says so."""


class Limits(Value):
    wall_s: float = 10.0
    """One cell or command."""
    cpus: float = 1.0
    """Cores' worth of time, all processes together; held where there is a cgroup or a container."""
    memory_mb: int = 256
    """One process, and all of them together where there is a cgroup or a container."""
    pids: int = 64
    """Processes and threads."""
    files: int = 256
    """Open at a time, each process."""
    file_mb: int = 64
    disk_mb: int = 64
    inodes: int = 8192
    """Files and folders; those the workspace began with do not count."""
    output_kb: int = 64
    """stdout and stderr together; what comes after is cut and the status says so."""


class Spec(Value):
    """What is asked for. A backend that cannot give all of it refuses to open."""

    backend: str = "auto"
    """`auto`, or a backend by name. `unsafe-subprocess` isolates nothing, and only its name opens it."""
    prefer: Literal["strong", "fast"] = "strong"
    """What `auto` takes among those that isolate enough."""
    min_isolation: int = 1
    """0 none, 1 a confined process or a safe subset, 2 namespaces, 3 with resource control, 4 a kernel of its own."""
    limits: Limits = Limits()
    seed: int | None = None
    """Of `random`, and of numpy where it is preloaded."""
    preload: tuple[str, ...] = ()
    """Modules imported before the code runs, so that it need not; the host's packages are then there to read."""
    workspace: Path | None = None
    """A folder whose content the workspace begins with. It is copied: nothing inside changes the folder."""
    allow_hosts: tuple[str, ...] = ()
    """The egress allow-list: `example.org`, `*.example.org`, with `:443` or any other port. Empty is no network."""


class Probe(Value):
    backend: str
    available: bool
    level: int = 0
    reason: str = ""
    """Why it is not available, or what it lacks."""
    fix: str = ""
    """What would make it available, or stronger."""
    guarantees: dict[str, bool] = {}
    """What was tried on this machine, and whether it held."""


class Ran(Value):
    """What any piece of code did. Text is what it wrote, undecodable bytes replaced: show it through `safe`."""

    status: Status
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    """The exception as the code's author would read it, or why it was stopped."""
    wall_ms: float = 0.0
    cpu_ms: float = 0.0
    max_rss_kb: int = 0
    denials: tuple[str, ...] = ()
    connections: tuple[Decision, ...] = ()
    """Through the proxy, while it ran; those that were refused too."""


class Rich(Value):
    mime: str
    """image/png, image/jpeg, image/svg+xml or text/html."""
    data: bytes


class CellResult(Ran):
    """What one piece of Python did."""

    value: str | None = None
    """repr of the last expression, as a notebook shows it."""
    rich: tuple[Rich, ...] = ()
    """Pictures and the like that it showed."""


class ExecResult(Ran):
    """What one command did; `error` is the status of one that ended with another exit code than 0."""

    exit_code: int | None = None
    """None where it was stopped; minus the signal where one ended it."""


class Sandbox(Protocol):
    """One open session. Python variables persist from cell to cell until `reset`, a crash or a timeout.

    Paths are relative to the workspace. Calls wait for each other. Every method raises SandboxError where the session
    is closed or the backend has no such thing; `read`, `write` and `list` raise ToolError where the path is wrong.
    """

    @property
    def probe(self) -> Probe:
        """What it was proven to hold; goes into the trace."""
        ...

    async def run_python(self, code: str, *, timeout: float | None = None) -> CellResult: ...  # noqa: ASYNC109 - the sandbox enforces it

    async def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - see above
    ) -> ExecResult:
        """Run a program in a process of its own; for a shell line `("sh", "-c", line)`."""
        ...

    async def read(self, path: str) -> bytes: ...

    async def write(self, path: str, data: bytes) -> None: ...

    async def list(self, path: str = ".") -> Sequence[Entry]: ...

    async def artefacts(self) -> Sequence[str]:
        """Paths of the files that were made or changed since the session began or was reset."""
        ...

    async def snapshot(self) -> int:
        """Keep the files as they are now; variables are not part of it."""
        ...

    async def restore(self, snapshot: int) -> None:
        """Files as they were; processes end, so variables are gone."""
        ...

    async def reset(self) -> None:
        """Files and variables as they were when the session began."""
        ...

    async def branch(self, n: int) -> "Sequence[Sandbox]":
        """`n` new sessions with these files, and with the variables that running the same cells again gives."""
        ...

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
