"""One sandbox that a server has forked: its first process, its control group, its network; see `box.Line`."""

import os
import select
import shutil
import signal
import socket
from contextlib import suppress
from typing import Any

import anyio
import anyio.to_thread

from journeyman.errors import SandboxError
from journeyman.sandbox.box import ASK_S, Box
from journeyman.sandbox.cgroup import Group
from journeyman.sandbox.egress import Decision
from journeyman.sandbox.inside.frames import Malformed, Reader
from journeyman.sandbox.proxy import Outlet
from journeyman.sandbox.wire import Wire

END_S = 5.0
FIX = "allow user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0), or install docker"
_SPIN = "import time\nused = time.process_time()\nwhile time.process_time() - used < 0.003: pass"


class Forked:
    """One sandbox; see `box.Line`."""

    def __init__(
        self, stream: Wire, home: str | None, group: Group | None, outlet: Outlet | None, door: socket.socket | None
    ) -> None:
        self.stream = stream
        self.outlet, self._door = outlet, door
        self.pid = 0
        self._home = home
        self._watch = -1
        self._reader = Reader(1 << 16)
        self._told: dict[str, Any] = {}
        self._group = group
        self._oom = False

    @property
    def alive(self) -> bool:
        """False once its first process has ended."""
        poller = select.poll()
        if self._watch >= 0:
            poller.register(self._watch)

        return not poller.poll(0)

    async def start(self) -> None:
        """Take hold of its first process, and wait until that has all it needs; a second time costs nothing.

        Raises:
            SandboxError: it did not come to be; nothing of it is left.
        """
        try:
            with anyio.fail_after(ASK_S):
                while not self._told.keys() >= {"pid", "ready"}:
                    await self._hear()

            if self._door is not None and self.outlet is not None:
                door, self._door = self._door, None
                await anyio.to_thread.run_sync(self.outlet.begin, door)
        except (TimeoutError, Malformed, anyio.EndOfStream, anyio.BrokenResourceError) as error:
            await self.close()
            raise SandboxError("the sandbox server does not answer", fix="start journeyman again") from error
        except BaseException:
            await self.close()
            raise

    async def _hear(self) -> None:
        frame = self._reader.feed(b"") or self._reader.feed(await self.stream.receive())
        self._told |= frame[0] if frame else {}
        if not self.pid and "pid" in self._told:
            self.pid = int(self._told["pid"])
            with suppress(ProcessLookupError):  # it has ended already, and says why
                self._watch = os.pidfd_open(self.pid)

        if "failed" in self._told:
            raise SandboxError(str(self._told["failed"]), fix=FIX)

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            await self.end()
            await self.stream.aclose()
            if self._door is not None:
                self._door.close()

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
            group.free() if self.pid else group.remove()  # of whom nothing was heard may still be on its way into it

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
