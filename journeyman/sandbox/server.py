"""The host's handle on a server that sandboxes are forked from; see `inside/zygote.py`.

One process for each set of preloaded modules, started when it is first needed, ended with this program.
"""

import atexit
import json
import os
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import IO, Any

import anyio
import anyio.to_thread

from journeyman.errors import SandboxError
from journeyman.sandbox.inside.copies import pack, stamps

START_S = 60.0
CODE = str(Path(__file__).parents[2])
NOBODY = 64_000
"""Who sandboxes are, outside, where the host is root: a user that nothing belongs to."""
_BOOT = (
    "import gc, sys; gc.disable(); sys.path.insert(0, {code!r}); "
    "from journeyman.sandbox.inside.zygote import main; main()"
)
_servers: dict[tuple[bool, tuple[str, ...]], "Server"] = {}
_starting = Lock()


class Server:
    """A running one. Messages may be sent from any task."""

    def __init__(self, *, namespaces: bool, preload: tuple[str, ...]) -> None:
        self._owner = os.getpid()
        self._templates: set[str] = set()
        paths = list(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))) if preload else []
        root = tempfile.mkdtemp(prefix="journeyman-")
        settings = {"namespaces": namespaces, "preload": preload, "paths": paths, "root": root}
        try:
            self._start(settings)
        finally:
            Path(root).rmdir()

    def _start(self, settings: dict[str, Any]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        command = [sys.executable, "-S", "-P", "-c", _BOOT.format(code=CODE), str(theirs.fileno())]
        nothing, env = subprocess.DEVNULL, {"PYTHONHASHSEED": "0", "LD_BIND_NOW": "1"}  # bound once, not in each copy
        with tempfile.TemporaryFile() as errors:
            self._process = subprocess.Popen(
                command, stdin=nothing, stdout=nothing, stderr=errors, env=env, cwd="/", pass_fds=[theirs.fileno()]
            )
            theirs.close()
            self._settle(settings, errors)

    def _settle(self, settings: dict[str, Any], errors: IO[bytes]) -> None:
        """Tell it its settings, and wait until it is ready. Raises SandboxError."""
        ours = self._control
        ours.settimeout(START_S)
        try:
            ours.send(json.dumps({**settings, "code": CODE, "nobody": NOBODY}).encode())
            answer = json.loads(ours.recv(1 << 16) or b"{}")
        except (TimeoutError, OSError):
            answer = {"failed": f"no answer within {START_S:g} s"}

        if answer or self._process.poll() is not None:
            self.stop()
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise SandboxError(answer.get("failed") or said or "its server ended")

        ours.setblocking(False)

    @property
    def alive(self) -> bool:
        """A copy of the process that started it (`fork`) cannot tell, and shares it."""
        return os.getpid() != self._owner or self._process.poll() is None

    async def send(self, message: Mapping[str, Any], *numbers: int) -> None:
        """Give an order, with descriptors. Raises OSError: the server is gone."""
        data = json.dumps(message).encode()
        while True:
            try:
                socket.send_fds(self._control, [data], numbers)
            except BlockingIOError:
                await anyio.wait_writable(self._control)
            else:
                return

    async def template(self, folder: Path, most: int) -> str:
        """The name by which a copy of the folder can be had; one is made for each state that it is found in.

        Raises:
            OSError: it cannot be read, or holds more than `most` bytes.
        """
        name = await anyio.to_thread.run_sync(_name, folder)
        if name not in self._templates:
            number = await anyio.to_thread.run_sync(lambda: _file(pack(str(folder), most=most)))
            try:
                await self.send({"op": "template", "name": name}, number)
            finally:
                os.close(number)

            self._templates.add(name)

        return name

    def stop(self) -> None:
        self._control.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
            return

        self._process.kill()
        self._process.wait()


def running(*, namespaces: bool, preload: tuple[str, ...]) -> Server | None:
    """The one for these modules, if it is there."""
    found = _servers.get((namespaces, preload))
    return found if found is not None and found.alive else None


def server(*, namespaces: bool, preload: tuple[str, ...]) -> Server:
    """The one for these modules; blocks while it starts.

    Raises:
        SandboxError: it does not start; the message is the system's.
    """
    key = namespaces, preload
    with _starting:
        if key not in _servers or not _servers[key].alive:
            _servers[key] = Server(namespaces=namespaces, preload=preload)

        return _servers[key]


def _file(data: bytes) -> int:
    """A descriptor of a file in memory that holds the data."""
    with open(os.memfd_create("template"), "w+b", closefd=False) as file:
        file.write(data)
        file.seek(0)
        return file.fileno()


def _name(folder: Path) -> str:
    return blake2b(repr((str(folder), sorted(stamps(str(folder)).items()))).encode(), digest_size=16).hexdigest()


@atexit.register
def stop() -> None:
    """End them all, and every sandbox with them."""
    with _starting:
        for each in _servers.values():
            each.stop()

        _servers.clear()
