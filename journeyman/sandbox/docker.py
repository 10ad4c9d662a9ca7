"""Containers: each session is one, held as tightly as Docker can, with the supervisor as its only program.

No network, a read-only root without anything of the host, an ordinary uid without capabilities or a way to gain any,
our own list of allowed system calls, and a bound on processes, memory, CPU time, files, space and output. The
supervisor is spoken to through the container's stdin and stdout, so that a cell costs no request to the daemon; it ends
with its stdin, so that no container outlives its caller. `GVisor` is the same with a kernel of its own in between.

NOT covered by `docker`: a flaw in the host's kernel, which containers share. See docs/security/sandbox.md.
"""

import contextlib
import json
import os
import socket
import struct
import sys
import weakref
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from anyio.abc import ByteStream, SocketStream, UNIXSocketStream

from journeyman.errors import SandboxError
from journeyman.sandbox import image
from journeyman.sandbox.box import Box, rlimits
from journeyman.sandbox.inside.copies import pack
from journeyman.sandbox.inside.frames import Malformed, Reader
from journeyman.sandbox.inside.frames import pack as frame
from journeyman.sandbox.proven import proven
from journeyman.sandbox.proxy import Outlet
from journeyman.sandbox.sandbox import Limits, Probe, Spec

if TYPE_CHECKING:
    from docker import DockerClient

USER = "64000:64000"
DOOR_AT = "/run"
LABEL = "journeyman"
MEBIBYTE = 1024 * 1024
OWN_MB = 48
"""Memory of the supervisor, which the container's limit counts too."""
START_S = 60
BASE = "JOURNEYMAN_SANDBOX_IMAGE"
"""Names an image that has Python 3.11 or newer, for systems whose own Python does not run in a Linux container."""
_MUX = struct.Struct(">BxxxI")


class Docker:
    """The backend; see `Provider`."""

    name = "docker"
    level = 3
    runtime = "runc"

    def __init__(self) -> None:
        self._client: DockerClient | None = None
        self._building = Lock()
        self._warm: dict[Spec, deque[_Container]] = {}
        self._wanted: dict[Spec, int] = {}
        self._probe: Probe | None = None

    async def probe(self) -> Probe:
        """Start a container and try what is promised, once a process: a second or less when the image is there."""
        if self._probe is None:
            try:
                box = await self._fresh(Spec(limits=Limits(wall_s=5)), Probe(backend=self.name, available=True))
            except SandboxError as error:
                return Probe(backend=self.name, available=False, reason=str(error), fix=error.fix)

            try:
                self._probe = await self._tried(box)
            finally:
                await box.close()

        return self._probe

    async def open(self, spec: Spec) -> Box:
        """Start a session, or take one that was started before.

        Raises:
            SandboxError: no daemon answers, it refuses, or it does not hold what the spec asks for.
        """
        probe = await proven(self)
        if not probe.available:
            raise SandboxError(probe.reason, fix=probe.fix)

        if probe.level < spec.min_isolation:
            raise SandboxError(
                f"{self.name} gives isolation level {probe.level}, level {spec.min_isolation} is asked for",
                fix=f"ask for min_isolation <= {probe.level}",
            )

        if spec.allow_hosts and (self.level > Docker.level or sys.platform != "linux"):
            raise SandboxError(f"{self.name} lets nothing out here", fix="take backend docker, on Linux")

        box = await self._fresh(spec, probe)
        if spec.workspace is not None:
            files = await anyio.to_thread.run_sync(
                lambda: pack(str(spec.workspace), most=spec.limits.disk_mb * MEBIBYTE)
            )
            await box.fill(files)

        return box

    async def prewarm(self, spec: Spec, n: int = 1) -> None:
        """Have `n` containers of this kind ready, now and after each that is taken."""
        key = _kind(spec)
        self._wanted[key] = n
        await anyio.to_thread.run_sync(self._refill, key)

    async def cool(self, spec: Spec) -> None:
        """End the containers that `prewarm` has kept ready, and keep none."""
        self._wanted.pop(_kind(spec), None)
        for container in self._warm.pop(_kind(spec), ()):
            await anyio.to_thread.run_sync(container.kill)

    def warm(self, spec: Spec) -> "Sequence[_Container]":
        """Those that are ready."""
        return tuple(self._warm.get(_kind(spec), ()))

    async def _fresh(self, spec: Spec, probe: Probe) -> Box:
        key = _kind(spec)
        warm = self._warm.get(key)
        if warm:
            container = warm.popleft()
            Thread(target=self._refill, args=(key,), daemon=True).start()
        else:
            container = await anyio.to_thread.run_sync(self._start, key)

        line = DockerLine(container, await container.stream())
        return Box(spec, probe, line, self.open, container.outlet.decisions if container.outlet else tuple)

    def _refill(self, key: Spec) -> None:
        warm = self._warm.setdefault(key, deque())
        while len(warm) < self._wanted.get(key, 0):
            warm.append(self._start(key))

    def _start(self, spec: Spec) -> "_Container":
        """Blocks; belongs into a thread."""
        client = self.client()
        from docker.errors import DockerException  # noqa: PLC0415 - now it is known to be there
        from requests.exceptions import RequestException  # noqa: PLC0415 - the SDK lets it through

        try:
            return _Container(client, self._image(client, spec), spec, self.runtime)
        except (DockerException, RequestException, OSError, Malformed) as error:
            raise SandboxError(f"{self.name} does not start a container: {error}", fix="docker info") from error

    def client(self) -> "DockerClient":
        """The daemon. Raises SandboxError where none answers; blocks."""
        if self._client is not None:
            return self._client

        try:
            import docker  # noqa: PLC0415 - a heavy import
            import docker.errors  # noqa: PLC0415 - the same
        except ImportError as error:
            raise SandboxError("the docker SDK is not installed", fix='uv pip install "journeyman[docker]"') from error

        try:
            client = docker.from_env(timeout=START_S)
            info = client.info()
        except docker.errors.DockerException as error:
            raise SandboxError(f"no Docker daemon answers: {error}", fix=_mend(error)) from error

        if self.runtime not in info.get("Runtimes", {}):
            raise SandboxError(f"Docker knows no runtime {self.runtime}", fix=RUNSC)

        weakref.finalize(self, client.close)
        self._client = client
        return client

    def _image(self, client: "DockerClient", spec: Spec) -> str:
        from docker.errors import ImageNotFound  # noqa: PLC0415 - a heavy import

        base = os.environ.get(BASE, "")
        tag = image.tag(spec.preload, base)
        with self._building:
            try:
                client.images.get(tag)
            except ImageNotFound:
                if base:
                    _derive(client, base, tag)
                else:
                    name, _, version = tag.partition(":")
                    client.api.import_image_from_data(image.build(spec.preload), repository=name, tag=version)

        return tag

    async def _tried(self, box: Box) -> Probe:
        result = await box.run_python(f"HOST = {os.uname().version!r}\n{_TRIES}")
        held = json.loads(result.stdout) if result.status == "ok" else {}
        if self.level > Docker.level:
            held.setdefault("own_kernel", False)

        broken = [promise for promise, holds in held.items() if not holds]
        if not held or broken:
            reason = f"it does not hold what it should: {', '.join(broken) or result.error}"
            return Probe(backend=self.name, available=bool(held), level=1, reason=reason, guarantees=held)

        return Probe(backend=self.name, available=True, level=self.level, reason=self.reason, guarantees=held)

    reason = "containers without a network, whose kernel is the host's"


class GVisor(Docker):
    """The same containers on a kernel of their own, written in a safe language and itself confined."""

    name = "gvisor"
    level = 4
    runtime = "runsc"
    reason = "containers without a network, whose kernel is not the host's"


class _Container:
    """A started container whose supervisor has its settings. Everything but `stream` blocks."""

    def __init__(self, client: "DockerClient", tag: str, spec: Spec, runtime: str) -> None:
        self._api = client.api
        self.outlet = Outlet(spec.allow_hosts) if spec.allow_hosts else None
        settings = _settings(spec.limits, runtime)
        doors = [DOOR_AT] if self.outlet else []
        if self.outlet:
            settings["binds"] = {str(self.outlet.folder): {"bind": DOOR_AT, "mode": "ro"}}

        self.id = str(
            self._api.create_container(
                tag,
                ["python3", "-S", "-m", "journeyman.sandbox.inside.supervisor", image.HOME, *doors],
                hostname="sandbox",
                user=USER,
                working_dir=image.HOME,
                environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": image.SUPERVISOR},
                labels={LABEL: str(os.getpid())},
                stdin_open=True,
                host_config=self._api.create_host_config(**settings),
            )["Id"]
        )
        attached = self._api.attach_socket(self.id, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        self._socket: socket.socket = getattr(attached, "_sock", attached)
        self._attached = attached
        try:
            self._api.start(self.id)
            if self.outlet:
                self.outlet.begin()

            self._begin(spec)
            self.events = _memory_events(self._api.inspect_container(self.id)["State"]["Pid"])
        except BaseException:
            self.kill()
            raise

    async def stream(self) -> ByteStream:
        """What the supervisor is spoken to through, from now on."""
        copy = self._socket.dup()
        copy.setblocking(False)
        kind = UNIXSocketStream if copy.family == getattr(socket, "AF_UNIX", None) else SocketStream
        return _Demuxed(await kind.from_socket(copy))

    def kill(self) -> None:
        """End the container, and with it every process in it."""
        from docker.errors import APIError  # noqa: PLC0415 - a heavy import

        with contextlib.suppress(APIError):  # it has ended, or is about to
            self._api.kill(self.id)

        if self.outlet:
            self.outlet.close()

        self._attached._response.close()  # noqa: SLF001 - the SDK hides it there, and nothing else closes it
        self._socket.close()

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

        if "failed" in answer[0]:
            raise SandboxError(f"{answer[0]['failed']}", fix="preload what is installed here")


class DockerLine:
    """See `Line`."""

    def __init__(self, container: _Container, stream: ByteStream) -> None:
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


def _kind(spec: Spec) -> Spec:
    """What a container is started with: those of one kind can stand in for each other."""
    return Spec(limits=spec.limits, seed=spec.seed, preload=spec.preload, allow_hosts=spec.allow_hosts)


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


SENTRY_THREADS = 256
"""gVisor's own, which the container's limit counts too."""
RUNSC = "install runsc, add it to the runtimes in /etc/docker/daemon.json, restart Docker"


def _profile() -> str:
    return json.dumps(json.loads(Path(__file__).with_name("seccomp.json").read_text("utf-8")))


def _derive(client: "DockerClient", base: str, tag: str) -> None:
    """An image with the supervisor in it, from one that has a Python."""
    name, _, version = tag.partition(":")
    container = client.containers.create(base)
    try:
        container.put_archive("/", image.supervisor())
        container.commit(repository=name, tag=version)
    finally:
        container.remove()


def _mend(error: Exception) -> str:
    if "Permission" in str(error):
        return "sudo usermod -aG docker $USER, then log in again"

    return "sudo systemctl start docker" if sys.platform == "linux" else "start Docker Desktop"


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


_TRIES = """
import ctypes, json, os, resource, socket
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
def fails(function, *arguments):
    try:
        function(*arguments)
    except OSError:
        return True
    return False
def connects():
    socket.create_connection(("192.0.2.1", 80), 0.2)
libc = ctypes.CDLL(None, use_errno=True)
print(json.dumps({
    "no_network": os.listdir("/sys/class/net") == ["lo"] if os.path.exists("/sys/class/net") else fails(connects),
    "read_only_root": fails(open, "/escape", "w") and fails(open, "/etc/escape", "w"),
    "not_root": 0 not in os.getresuid(),
    "no_capabilities": int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0,
    "no_new_privileges": libc.prctl(39, 0, 0, 0, 0) == 1,
    "own_kernel" if os.uname().version != HOST else "system_calls_filtered":
        os.uname().version != HOST or libc.unshare(0x10000000) == -1,
    "own_processes_only": len([name for name in os.listdir("/proc") if name.isdigit()]) < 5,
    "bounded_files": resource.getrlimit(resource.RLIMIT_NOFILE)[1] <= 4096,
    "bounded_disk": os.statvfs("/work").f_blocks * os.statvfs("/work").f_bsize < 1 << 40,
}))
"""
