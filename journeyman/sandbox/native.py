"""Sandboxes from what Linux has: namespaces, Landlock, a filter of system calls, limits, and a control group.

`native` gives each sandbox its own users, mounts, processes, network and names; nothing needs to be installed and
nobody needs to be root. `landlock` is what remains where the system grants no user namespaces: one process at a time
that sees the host's files but may open only system programs and its workspace. NOT covered by either: the kernel is
shared, so a flaw in it is a way out, and side channels between programs on one machine stay open.
"""

import os
import socket
import sys
import tempfile
from collections import deque
from contextlib import AsyncExitStack, ExitStack, suppress
from typing import Any

import anyio
import anyio.to_thread

from journeyman.errors import SandboxError
from journeyman.sandbox.box import MEBIBYTE, Box, rlimits
from journeyman.sandbox.cgroup import Group, made, spare
from journeyman.sandbox.forked import FIX, Forked
from journeyman.sandbox.inside.copies import pack
from journeyman.sandbox.proof import PROMISES, TIGHT, prove
from journeyman.sandbox.proven import proven
from journeyman.sandbox.proxy import Outlet
from journeyman.sandbox.sandbox import Probe, Spec
from journeyman.sandbox.server import NOBODY, Server, running, server
from journeyman.sandbox.wire import Wire

LEVEL_OF_NAMESPACES = 2
_WITHOUT_GROUP = {"memory_all", "cpu_all", "no_signals_out"}
_WITHOUT_SPACES = {*_WITHOUT_GROUP, "disk", "inodes"}
_FIX_GROUP = "systemd-run --user --scope -p Delegate=yes journeyman ...: total memory and CPU are then limited too"
_FIX_PYTHON = "use a Python that every user of this machine may read, such as /usr/bin/python3"


class Native:
    """Both backends; see `Provider`."""

    def __init__(self, *, namespaces: bool = True) -> None:
        self.name = "native" if namespaces else "landlock"
        self._namespaces = namespaces
        self._probe: Probe | None = None
        self._ready: dict[tuple[int, Spec], deque[Forked]] = {}
        """Made ahead, by kind, and by process: a copy of this one must not take what is the original's."""

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
        """Have `n` of this kind ready, about 4 MB each, now and after each that is taken; 0 keeps none.

        What has a folder or a network of its own is not kept ready, nor are those of `landlock`: only their server is.
        """
        if not self._namespaces:
            await self._server(spec)
            return

        ready = self.warm(spec)
        fresh: list[Forked] = []
        async with AsyncExitStack() as failed:
            for _ in range(n - len(ready)):
                line = await self._ordered(_kind(spec))
                failed.push_async_callback(line.close)
                fresh.append(line)

            for line in fresh:
                await line.start()

            failed.pop_all()

        ready.extend(fresh)
        while len(ready) > n:
            await ready.pop().close()

    def warm(self, spec: Spec) -> deque[Forked]:
        """Those that are ready."""
        return self._ready.setdefault((os.getpid(), _kind(spec)), deque())

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
            guarantees["cpu_all"] = isinstance(box.line, Forked) and await box.line.throttles(box)
        finally:
            await box.close()

        return _judged(self.name, guarantees)

    async def _server(self, spec: Spec) -> Server:
        if (found := running(namespaces=self._namespaces, preload=spec.preload)) is not None:
            return found

        try:
            return await anyio.to_thread.run_sync(lambda: server(namespaces=self._namespaces, preload=spec.preload))
        except (SandboxError, OSError) as error:
            raise SandboxError(f"{self.name} does not start: {error}", fix=FIX) from error

    async def _open(self, spec: Spec, probe: Probe) -> Box:
        line = await self._taken(spec) or await self._ordered(spec)
        await line.start()
        box = Box(spec, probe, line, lambda again: self._open(again, probe), decided=line.decisions)
        if spec.workspace and not self._namespaces:
            try:
                await box.fill(await anyio.to_thread.run_sync(pack, str(spec.workspace)))
            except BaseException:
                await box.close()
                raise

        return box

    async def _taken(self, spec: Spec) -> Forked | None:
        """One that was made ahead and is alive; another is ordered in its place."""
        ready = self.warm(spec)
        for _ in range(0 if spec.workspace or spec.allow_hosts else len(ready)):
            ready.append(await self._ordered(spec))
            line = ready.popleft()
            with suppress(SandboxError):  # of a server that has ended since
                await line.start()
                if line.alive:
                    return line

            await line.close()

        return None

    async def _ordered(self, spec: Spec) -> Forked:
        """One that is being made."""
        server, limits, home, group = await self._server(spec), spec.limits, None, None
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

            return await _sent(server, message, spec, home, group)
        except OSError as error:
            raise SandboxError(f"{self.name} does not open: {error}", fix="try again") from error


async def _sent(server: Server, message: dict[str, Any], spec: Spec, home: str | None, group: Group | None) -> Forked:
    """Have a sandbox forked. Raises OSError."""
    ours, theirs = socket.socketpair()
    door, threshold = socket.socketpair() if spec.allow_hosts else (None, None)
    line = Forked(Wire(ours), home, group, Outlet(spec.allow_hosts) if door else None, door)
    try:
        with ExitStack() as held:
            for each in filter(None, (theirs, threshold)):
                held.enter_context(each)

            doors = held.enter_context(group.doors()) if group else []
            await server.send(message, theirs.fileno(), *doors, *([threshold.fileno()] if threshold else []))
    except BaseException:
        await line.close()
        raise

    return line


def _kind(spec: Spec) -> Spec:
    return Spec(limits=spec.limits, seed=spec.seed, preload=spec.preload)


def _judged(name: str, guarantees: dict[str, bool]) -> Probe:
    """The level that was proven, and what is lost."""
    lost = sorted(promise for promise, held in guarantees.items() if not held)
    level = 3 if not lost else 2 if not set(lost) - _WITHOUT_GROUP else 1 if not set(lost) - _WITHOUT_SPACES else 0
    reason = f"not held here: {', '.join(lost)}" if lost else ""
    fix = _FIX_GROUP if level == LEVEL_OF_NAMESPACES else FIX if lost else ""
    return Probe(backend=name, available=level > 0, level=level, reason=reason, fix=fix, guarantees=guarantees)


def _folder() -> str:
    """A workspace on the host's own file system, where there can be no other."""
    home = tempfile.mkdtemp(prefix="journeyman-")
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)

    return home
