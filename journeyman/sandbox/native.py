"""Sandboxes from what Linux has: namespaces, Landlock, a filter of system calls, limits, and a control group.

`native` gives each sandbox its own users, mounts, processes, network and names; nothing needs to be installed and
nobody needs to be root. `landlock` is what remains where the system grants no user namespaces: one process at a time
that sees the host's files but may open only system programs and its workspace. NOT covered by either: the kernel is
shared, so a flaw in it is a way out, and side channels between programs on one machine stay open.
"""

import os
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import ExitStack, suppress
from typing import Any

import anyio
import anyio.to_thread

from journeyman.errors import SandboxError
from journeyman.sandbox.box import GRACE_S, MEBIBYTE, Box, rlimits
from journeyman.sandbox.cgroup import Group, made, spare, stock
from journeyman.sandbox.egress import Decision
from journeyman.sandbox.inside.copies import pack
from journeyman.sandbox.inside.frames import Malformed, Reader
from journeyman.sandbox.proof import PROMISES, TIGHT, prove
from journeyman.sandbox.proven import proven
from journeyman.sandbox.proxy import Outlet
from journeyman.sandbox.sandbox import Probe, Spec
from journeyman.sandbox.server import NOBODY, Server, running, server
from journeyman.sandbox.wire import Wire

END_S = 5.0
LEVEL_OF_NAMESPACES = 2
_WITHOUT_GROUP = {"memory_all", "cpu_all", "no_signals_out"}
_WITHOUT_SPACES = {*_WITHOUT_GROUP, "disk", "inodes"}
_FIX_GROUP = "systemd-run --user --scope -p Delegate=yes journeyman ...: total memory and CPU are then limited too"
_SPIN = "import time\nused = time.process_time()\nwhile time.process_time() - used < 0.003: pass"
_FIX_PYTHON = "use a Python that every user of this machine may read, such as /usr/bin/python3"
_FIX = "allow user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0), or install docker"


class Native:
    """Both backends; see `Provider`."""

    def __init__(self, *, namespaces: bool = True) -> None:
        self.name = "native" if namespaces else "landlock"
        self._namespaces = namespaces
        self._probe: Probe | None = None

    async def probe(self) -> Probe:
        """Try on this machine what is promised; a second time costs nothing."""
        if self._probe is None:
            self._probe = await self._tried()

        return self._probe

    async def open(self, spec: Spec) -> Box:
        """See `Provider`."""
        probe = await proven(self)
        if not probe.available:
            raise SandboxError(probe.reason, fix=probe.fix)

        if spec.min_isolation > probe.level:
            message = f"{self.name} gives isolation level {probe.level} here, level {spec.min_isolation} is asked for"
            raise SandboxError(f"{message}: {probe.reason}" if probe.reason else message, fix=probe.fix)

        if spec.allow_hosts and not self._namespaces:
            raise SandboxError(f"{self.name} has no network to allow hosts on", fix="take backend native or docker")

        return await self._open(spec, probe)

    async def prewarm(self, spec: Spec, n: int = 1) -> None:
        """Start the server and make the control groups, which are what takes time."""
        await self._server(spec)
        await anyio.to_thread.run_sync(stock, spec.limits, n)

    async def _tried(self) -> Probe:
        if sys.platform != "linux":
            return Probe(backend=self.name, available=False, reason="it needs Linux", fix="take backend docker")

        nothing = Probe(backend=self.name, available=False)
        try:
            box = await self._open(Spec(limits=TIGHT), nothing)
        except SandboxError as error:
            return Probe(backend=self.name, available=False, reason=str(error), fix=error.fix)

        try:
            if (first := await box.run_python("1")).status != "ok":
                reason = f"Python does not start in it: {first.stderr.strip() or first.error}"
                return Probe(backend=self.name, available=False, reason=reason, fix=_FIX_PYTHON)

            guarantees = await prove(box, [promise for promise in PROMISES if promise != "cpu_all"])
            guarantees["cpu_all"] = isinstance(box.line, _Line) and await box.line.throttles(box)
        finally:
            await box.close()

        return _judged(self.name, guarantees)

    async def _server(self, spec: Spec) -> Server:
        if (found := running(namespaces=self._namespaces, preload=spec.preload)) is not None:
            return found

        try:
            return await anyio.to_thread.run_sync(lambda: server(namespaces=self._namespaces, preload=spec.preload))
        except (SandboxError, OSError) as error:
            raise SandboxError(f"{self.name} does not start: {error}", fix=_FIX) from error

    async def _open(self, spec: Spec, probe: Probe) -> Box:
        line = await self._line(await self._server(spec), spec)
        box = Box(spec, probe, line, lambda again: self._open(again, probe), decided=line.decisions)
        if spec.workspace and not self._namespaces:
            try:
                await box.fill(await anyio.to_thread.run_sync(pack, str(spec.workspace)))
            except BaseException:
                await box.close()
                raise

        return box

    async def _line(self, server: Server, spec: Spec) -> "_Line":
        limits, home, group = spec.limits, None, None
        message = {
            "op": "open", "disk_mb": limits.disk_mb, "inodes": limits.inodes, "seed": spec.seed,
            "rlimits": {**rlimits(limits), **({"NPROC": limits.pids + 2} if self._namespaces else {})},
            "memory": limits.memory_mb * MEBIBYTE, "door": bool(spec.allow_hosts),
        }  # fmt: skip
        try:
            if self._namespaces:
                most = 16 * spec.limits.disk_mb * MEBIBYTE
                message["template"] = await server.template(spec.workspace, most) if spec.workspace else None
                group = spare(limits) or await anyio.to_thread.run_sync(made, limits)
            else:
                home = message["home"] = await anyio.to_thread.run_sync(_folder)

            return await _connected(server, message, spec, home, group)
        except OSError as error:
            raise SandboxError(f"{self.name} does not open: {error}", fix="try again") from error


async def _connected(
    server: Server, message: dict[str, Any], spec: Spec, home: str | None, group: Group | None
) -> "_Line":
    """Have a sandbox forked. Raises OSError, SandboxError."""
    ours, theirs = socket.socketpair()
    door, threshold = socket.socketpair() if spec.allow_hosts else (None, None)
    line = _Line(Wire(ours), home, group, Outlet(spec.allow_hosts) if door else None)
    try:
        with ExitStack() as held:
            for each in filter(None, (theirs, threshold, door)):
                held.enter_context(each)

            doors = held.enter_context(group.doors()) if group else []
            await server.send(message, theirs.fileno(), *doors, *([threshold.fileno()] if threshold else []))
            await line.start()
            if door is not None and line.outlet is not None:
                await anyio.to_thread.run_sync(line.outlet.begin, door)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await line.end()
            await line.stream.aclose()

        raise

    return line


def _judged(name: str, guarantees: dict[str, bool]) -> Probe:
    """The level that was proven, and what is lost."""
    lost = sorted(promise for promise, held in guarantees.items() if not held)
    level = 3 if not lost else 2 if not set(lost) - _WITHOUT_GROUP else 1 if not set(lost) - _WITHOUT_SPACES else 0
    reason = f"not held here: {', '.join(lost)}" if lost else ""
    fix = _FIX_GROUP if level == LEVEL_OF_NAMESPACES else _FIX if lost else ""
    return Probe(backend=name, available=level > 0, level=level, reason=reason, fix=fix, guarantees=guarantees)


def _folder() -> str:
    """A workspace on the host's own file system, where there can be no other."""
    home = tempfile.mkdtemp(prefix="journeyman-")
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)

    return home


class _Line:
    """One sandbox; see `box.Line`."""

    def __init__(self, stream: Wire, home: str | None, group: Group | None, outlet: Outlet | None) -> None:
        self.stream = stream
        self.outlet = outlet
        self.pid = 0
        self._home = home
        self._watch = -1
        self._group = group
        self._oom = False

    async def start(self) -> None:
        """Take hold of its first process, and wait until that has all it needs. Raises SandboxError."""
        reader, told = Reader(1 << 16), {}
        try:
            with anyio.fail_after(GRACE_S):
                while not told.keys() >= {"pid", "ready"} and "failed" not in told:
                    frame = reader.feed(b"") or reader.feed(await self.stream.receive())
                    told |= frame[0] if frame else {}
                    if self._watch < 0 and "pid" in told:
                        self.pid = int(told["pid"])
                        self._watch = os.pidfd_open(self.pid)
        except (TimeoutError, Malformed, anyio.EndOfStream, anyio.BrokenResourceError) as error:
            raise SandboxError("the sandbox server does not answer", fix="start journeyman again") from error

        if "failed" in told:
            raise SandboxError(str(told["failed"]), fix=_FIX)

    def decisions(self) -> tuple[Decision, ...]:
        return self.outlet.decisions() if self.outlet else ()

    async def throttles(self, box: Box) -> bool:
        """Whether the share of the processors is held: from inside, a busy machine looks just the same."""
        if self._group is None:
            return False

        self._group.share(0.05)
        await box.run_python(_SPIN)
        self._group.share(self._group.limits.cpus)
        return self._group.throttled()

    def oom(self) -> bool:
        return self._group.oom() if self._group is not None else self._oom

    async def end(self) -> None:
        watch, self._watch = self._watch, -1
        if watch >= 0:
            try:
                await _killed(watch)
            finally:
                os.close(watch)

        group, self._group = self._group, None
        if group is not None:
            self._oom = group.oom()
            group.free()

        if self.outlet is not None:
            await anyio.to_thread.run_sync(self.outlet.close)

        home, self._home = self._home, None
        if home is not None:
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(home, ignore_errors=True))


async def _killed(watch: int) -> None:
    """Its first process is dead, and so all that came from it are."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(watch, signal.SIGKILL)

    with anyio.move_on_after(END_S):
        await anyio.wait_readable(watch)
