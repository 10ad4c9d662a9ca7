"""No sandbox: the code runs as the user, with all that the user may do. For those who ask for it by its name.

Time and output are limited, and a cell that fails does not take its caller along; nothing else is held. A run that had
it is never trained on.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile

import anyio
import anyio.to_thread

from journeyman.errors import SandboxError
from journeyman.sandbox.box import Box
from journeyman.sandbox.inside.copies import pack
from journeyman.sandbox.sandbox import Probe, Spec
from journeyman.sandbox.server import CODE
from journeyman.sandbox.wire import Wire

NAME = "unsafe-subprocess"
PROBE = Probe(backend=NAME, available=True, level=0, reason="nothing is isolated")


class Unsafe:
    """The backend; see `Provider`."""

    name = NAME

    async def probe(self) -> Probe:
        return PROBE

    async def open(self, spec: Spec) -> Box:
        """See `Provider`."""
        if spec.backend != NAME or spec.min_isolation > 0:
            raise SandboxError(f"{NAME} isolates nothing", fix=f"name it, with min_isolation 0: {NAME}")

        if sys.platform != "linux":
            raise SandboxError(f"{NAME} needs Linux", fix="take monty, or docker")

        line = _Line(await anyio.to_thread.run_sync(lambda: tempfile.mkdtemp(prefix="journeyman-")))
        box = Box(spec, PROBE, await line.start(), self.open)
        try:
            await box.begin(seed=spec.seed, preload=spec.preload, paths=sys.path)
            if spec.workspace:
                await box.fill(await anyio.to_thread.run_sync(pack, str(spec.workspace)))
        except BaseException:
            await box.close()
            raise

        return box


class _Line:
    """See `box.Line`."""

    stream: Wire

    def __init__(self, home: str) -> None:
        self._home = home

    async def start(self) -> "_Line":
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await anyio.to_thread.run_sync(_supervisor, self._home, theirs.fileno())

        self.stream = Wire(ours)
        return self

    def oom(self) -> bool:
        return False

    async def end(self) -> None:
        self._process.kill()
        await anyio.to_thread.run_sync(self._process.wait)
        await anyio.to_thread.run_sync(lambda: shutil.rmtree(self._home, ignore_errors=True))


def _supervisor(home: str, stream: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-P", "-m", "journeyman.sandbox.inside.supervisor", home]
    return subprocess.Popen(command, stdin=stream, stdout=stream, env={**os.environ, "PYTHONPATH": CODE})
