"""One container: how it is held, how it is spoken to, and how it ends."""

import contextlib
import json
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from anyio.abc import ByteStream

from journeyman.errors import SandboxError
from journeyman.sandbox import image
from journeyman.sandbox.box import rlimits
from journeyman.sandbox.inside.frames import Reader
from journeyman.sandbox.inside.frames import pack as frame
from journeyman.sandbox.proxy import Outlet
from journeyman.sandbox.sandbox import Limits, Spec
from journeyman.sandbox.wire import Wire

if TYPE_CHECKING:
    from docker import DockerClient

USER = "64000:64000"
DOOR_AT = "/run"
"""Where the folder with the proxy's door is shown; it is empty when code runs."""
LABEL = "journeyman"
"""Holds the pid of the caller."""
START_S = 60
MEBIBYTE = 1024 * 1024
OWN_MB = 48
"""Memory of the supervisor, which the container's limit counts too."""
SENTRY_THREADS = 256
"""gVisor's own, which the container's limit counts too."""
_MUX = struct.Struct(">BxxxI")


class Container:
    """A started container whose supervisor has its settings. Everything but `stream` blocks."""

    def __init__(self, client: "DockerClient", tag: str, spec: Spec, runtime: str) -> None:
        self._api = client.api
        self._ending = contextlib.ExitStack()
        try:
            self.outlet = Outlet(spec.allow_hosts) if spec.allow_hosts else None
            if self.outlet:
                self._ending.callback(self.outlet.close)

            self.id = self._create(tag, spec, runtime)
            attached = self._api.attach_socket(self.id, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            self._socket: socket.socket = getattr(attached, "_sock", attached)
            self._ending.callback(self._socket.close)
            self._ending.callback(attached._response.close)  # noqa: SLF001 - nothing else closes it
            self._ending.callback(self._kill)
            self._api.start(self.id)
            if self.outlet:
                self.outlet.begin()

            self._begin(spec)
            self.events = _memory_events(self._api.inspect_container(self.id)["State"]["Pid"])
        except BaseException:
            self.kill()
            raise

    @property
    def alive(self) -> bool:
        """Whether its end of the line is still open."""
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def stream(self) -> ByteStream:
        """What the supervisor is spoken to through, from now on."""
        return _Demuxed(Wire(self._socket.dup()))

    def kill(self) -> None:
        """End the container, and with it every process in it."""
        self._ending.close()

    def _kill(self) -> None:
        from docker.errors import APIError  # noqa: PLC0415 - a heavy import

        with contextlib.suppress(APIError):  # it has ended, or is about to
            self._api.kill(self.id)

    def _create(self, tag: str, spec: Spec, runtime: str) -> str:
        settings = _settings(spec.limits, runtime)
        doors = [DOOR_AT] if self.outlet else []
        if self.outlet:
            settings["binds"] = {str(self.outlet.folder): {"bind": DOOR_AT, "mode": "ro"}}

        made = self._api.create_container(
            tag,
            ["python3", "-S", "-m", "journeyman.sandbox.inside.supervisor", image.HOME, *doors],
            hostname="sandbox",
            user=USER,
            working_dir=image.HOME,
            environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": image.SUPERVISOR},
            labels={LABEL: str(os.getpid())},
            stdin_open=True,
            host_config=self._api.create_host_config(**settings),
        )
        return str(made["Id"])

    def _begin(self, spec: Spec) -> None:
        memory = spec.limits.memory_mb * MEBIBYTE
        settings = {"seed": spec.seed, "preload": spec.preload, "paths": [image.PACKAGES], "memory": memory}
        self._socket.settimeout(START_S)
        self._socket.sendall(frame({"op": "begin", "rlimits": rlimits(spec.limits), **settings}))
        reader, demux, answer = Reader(MEBIBYTE), Demux(), None
        while answer is None:
            data = self._socket.recv(1 << 16)
            if not data:
                raise OSError(demux.stderr.decode(errors="replace").strip() or "the supervisor ended at once")

            answer = reader.feed(demux.feed(data))

        self._socket.setblocking(False)
        if "failed" in answer[0]:
            raise SandboxError(f"{answer[0]['failed']}", fix="preload what is installed here")


class DockerLine:
    """See `Line`."""

    def __init__(self, container: Container, stream: ByteStream) -> None:
        self.stream = stream
        self._container = container
        self._ended = False
        self._ooms = 0

    async def end(self) -> None:
        if not self._ended:
            self._ended = True
            await anyio.to_thread.run_sync(self._container.kill)

    def oom(self) -> bool:
        before, self._ooms = self._ooms, _ooms(self._container.events)
        return self._ooms > before


class Demux:
    """Takes apart what Docker sends for an attached container: 8 bytes of which stream and how long, then as much."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self.stderr = b""

    def feed(self, data: bytes) -> bytes:
        """What came on stdout."""
        self._waiting += data
        out = b""
        while len(self._waiting) >= _MUX.size:
            kind, size = _MUX.unpack_from(self._waiting)
            if len(self._waiting) < _MUX.size + size:
                break

            piece = bytes(self._waiting[_MUX.size : _MUX.size + size])
            del self._waiting[: _MUX.size + size]
            if kind == 1:
                out += piece
            else:
                self.stderr = (self.stderr + piece)[-4096:]

        return out


class _Demuxed(ByteStream):
    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._demux = Demux()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        while True:
            if data := self._demux.feed(await self._stream.receive(max_bytes)):
                return data

    async def send(self, item: bytes) -> None:
        await self._stream.send(item)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


def _settings(limits: Limits, runtime: str) -> dict[str, Any]:
    from docker.types import LogConfig, Ulimit  # noqa: PLC0415 - a heavy import

    memory = (limits.memory_mb + limits.disk_mb + OWN_MB) * MEBIBYTE
    disk = f"size={limits.disk_mb}m,nr_inodes={limits.inodes},mode=1777,nosuid,nodev"
    small = f"size=16m,nr_inodes={limits.inodes // 8},mode=1777,nosuid,nodev"
    return {
        "runtime": runtime,
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges", f"seccomp={_profile()}"],
        "pids_limit": limits.pids + (SENTRY_THREADS if runtime == "runsc" else 1),
        "mem_limit": memory,
        "memswap_limit": memory,
        "nano_cpus": int(limits.cpus * 1e9),
        "tmpfs": {image.HOME: disk, "/tmp": small, "/dev/shm": small},  # noqa: S108 - the container's own
        "ulimits": [Ulimit(name="core", soft=0, hard=0)],
        "log_config": LogConfig(type=LogConfig.types.NONE),
        "auto_remove": True,
    }


def _profile() -> str:
    return json.dumps(json.loads(Path(__file__).with_name("seccomp.json").read_text("utf-8")))


def _memory_events(pid: int) -> Path | None:
    """The file in which the kernel counts what it ended in this process's cgroup for want of memory."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text("utf-8").splitlines():
            _, controllers, group = line.split(":", 2)
            if "memory" in controllers.split(","):
                return Path(f"/sys/fs/cgroup/memory{group}/memory.oom_control")

            if not controllers and (events := Path(f"/sys/fs/cgroup{group}/memory.events")).exists():
                return events

    return None


def _ooms(events: Path | None) -> int:
    with contextlib.suppress(OSError):
        for line in events.read_text("utf-8").splitlines() if events else ():
            if line.startswith("oom_kill "):
                return int(line.split()[1])

    return 0
