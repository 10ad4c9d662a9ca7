"""Containers: each session is one, held as tightly as Docker can, with the supervisor as its only program.

No network, a read-only root without anything of the host, an ordinary uid without capabilities or a way to gain any,
our own list of allowed system calls, and a bound on processes, memory, CPU time, files, space and output. The
supervisor is spoken to through the container's stdin and stdout, so that a cell costs no request to the daemon; it ends
with its stdin, so that no container outlives its caller. `GVisor` is the same with a kernel of its own in between.

NOT covered by `docker`: a flaw in the host's kernel, which containers share. See docs/security/sandbox.md.
"""

import contextlib
import os
import shutil
import sys
import weakref
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from journeyman.errors import SandboxError, install
from journeyman.sandbox import image
from journeyman.sandbox.box import Box
from journeyman.sandbox.container import MEBIBYTE, START_S, Container, DockerLine
from journeyman.sandbox.inside.copies import pack
from journeyman.sandbox.inside.frames import Malformed
from journeyman.sandbox.proof import PROMISES, TIGHT, prove
from journeyman.sandbox.proven import proven
from journeyman.sandbox.sandbox import Limits, Probe, Spec

if TYPE_CHECKING:
    from docker import DockerClient

IMAGES_KEPT = 8
UNPROVEN = {"no_dangerous_calls", "processes", "memory_all", "inodes", "cpu_all"}
"""Of gVisor: its kernel answers the calls, the next two end the sandbox, files are not counted and time roughly."""
DAEMON = "update Docker, and see that its daemon runs as root with control groups mounted"
_VERSION = "import os; os.uname().version"
BASE = "JOURNEYMAN_SANDBOX_IMAGE"
"""Names an image that has Python 3.11 or newer, for systems whose own Python does not run in a Linux container."""
SOCKET = "/var/run/docker.sock"
RUNSC = "install runsc, add it to the runtimes in /etc/docker/daemon.json, restart Docker"


class Docker:
    """The backend; see `Provider`."""

    name = "docker"
    level = 3
    runtime = "runc"
    promises: Sequence[str] = tuple(each for each in PROMISES if each != "no_signals_out")  # but to its init, in vain

    def __init__(self) -> None:
        self._client: DockerClient | None = None
        self._building = Lock()
        self._filling = Lock()
        self._warm: dict[Spec, deque[Container]] = {}
        self._wanted: dict[Spec, int] = {}
        self._probe: Probe | None = None

    async def probe(self) -> Probe:
        """Start a container and try what is promised, once a process: a second or less when the image is there."""
        if self._probe is None:
            try:
                box = await self._fresh(Spec(limits=TIGHT), Probe(backend=self.name, available=True))
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
        try:
            if spec.workspace is not None:
                await box.fill(await anyio.to_thread.run_sync(_packed, spec.workspace, spec.limits))
        except BaseException:
            await box.close()
            raise

        return box

    async def prewarm(self, spec: Spec, n: int = 1) -> None:
        """Have `n` containers of this kind ready, now and after each that is taken."""
        key = _kind(spec)
        self._wanted[key] = n
        await anyio.to_thread.run_sync(self._fill, key)

    async def cool(self, spec: Spec) -> None:
        """End the containers that `prewarm` has kept ready, and keep none."""
        self._wanted.pop(_kind(spec), None)
        await anyio.to_thread.run_sync(self._empty, _kind(spec))

    def warm(self, spec: Spec) -> Sequence[Container]:
        """Those that are ready."""
        return tuple(self._warm.get(_kind(spec), ()))

    async def _fresh(self, spec: Spec, probe: Probe) -> Box:
        key = _kind(spec)
        container = self._take(key) or await anyio.to_thread.run_sync(self._start, key)
        line = DockerLine(container, container.stream())
        return Box(spec, probe, line, self.open, container.outlet.decisions if container.outlet else tuple)

    def _take(self, key: Spec) -> Container | None:
        """A warm one that is still alive; another is started in its place, by a thread."""
        warm, dead, found = self._warm.get(key), [], None
        while warm and found is None:
            container = warm.popleft()
            if container.alive:
                found = container
            else:
                dead.append(container)

        if found or dead:
            Thread(target=self._refill, args=(key, dead), daemon=True).start()

        return found

    def _refill(self, key: Spec, dead: Sequence[Container]) -> None:
        for container in dead:
            container.kill()

        with contextlib.suppress(SandboxError):  # whoever needs one is told
            self._fill(key)

    def _fill(self, key: Spec) -> None:
        with self._filling:
            warm = self._warm.setdefault(key, deque())
            while len(warm) < self._wanted.get(key, 0):
                warm.append(self._start(key))

    def _empty(self, key: Spec) -> None:
        with self._filling:
            for container in self._warm.pop(key, ()):
                container.kill()

    def _start(self, spec: Spec) -> "Container":
        """Blocks; belongs into a thread."""
        client = self.client()
        from docker.errors import DockerException  # noqa: PLC0415 - now it is known to be there
        from requests.exceptions import RequestException  # noqa: PLC0415 - the SDK lets it through

        try:
            return Container(client, self._image(client, spec), spec, self.runtime)
        except (DockerException, RequestException, OSError, Malformed) as error:
            raise SandboxError(f"{self.name} does not start a container: {error}", fix="docker info") from error

    def client(self) -> "DockerClient":
        """The daemon. Raises SandboxError where none answers; blocks."""
        if self._client is not None:
            return self._client

        if sys.platform == "linux" and "DOCKER_HOST" not in os.environ and not Path(SOCKET).exists():
            raise SandboxError(f"no Docker daemon answers: there is no {SOCKET}", fix=_mend(None))

        try:
            import docker  # noqa: PLC0415 - a heavy import
            import docker.errors  # noqa: PLC0415 - the same
        except ImportError as error:
            raise SandboxError("the docker SDK is not installed", fix=install("journeyman[docker]")) from error

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

                _forget_old(client)

        return tag

    async def _tried(self, box: Box) -> Probe:
        held = await prove(box, self.promises)
        if self.level > Docker.level:
            held["own_kernel"] = (await box.run_python(_VERSION)).value not in {None, repr(os.uname().version)}

        broken = [promise for promise, holds in held.items() if not holds]
        if broken:
            reason = f"not held here: {', '.join(broken)}"
            return Probe(backend=self.name, available=True, level=1, reason=reason, fix=DAEMON, guarantees=held)

        return Probe(backend=self.name, available=True, level=self.level, reason=self.reason, guarantees=held)

    reason = "containers without a network, whose kernel is the host's"


class GVisor(Docker):
    """The same containers on a kernel of their own, written in a safe language and itself confined."""

    name = "gvisor"
    level = 4
    runtime = "runsc"
    promises = tuple(each for each in Docker.promises if each not in UNPROVEN)
    reason = "containers without a network, whose kernel is not the host's"


def _kind(spec: Spec) -> Spec:
    """What a container is started with: those of one kind can stand in for each other."""
    return Spec(limits=spec.limits, seed=spec.seed, preload=spec.preload, allow_hosts=spec.allow_hosts)


def _packed(folder: Path, limits: Limits) -> bytes:
    try:
        return pack(str(folder), most=limits.disk_mb * MEBIBYTE)
    except OSError as error:
        raise SandboxError(f"the workspace cannot begin with {folder}: {error}", fix="raise disk_mb") from error


def _forget_old(client: "DockerClient") -> None:
    """Images of earlier versions; one that is in use stays."""
    from docker.errors import APIError  # noqa: PLC0415 - a heavy import

    made = sorted(client.images.list(image.REPOSITORY), key=lambda each: each.attrs["Created"], reverse=True)
    for old in made[IMAGES_KEPT:]:
        with contextlib.suppress(APIError):
            client.images.remove(old.tags[0] if old.tags else old.id)


def _derive(client: "DockerClient", base: str, tag: str) -> None:
    """An image with the supervisor in it, from one that has a Python."""
    name, _, version = tag.partition(":")
    container = client.containers.create(base)
    try:
        container.put_archive("/", image.supervisor())
        container.commit(repository=name, tag=version)
    finally:
        container.remove()


def _mend(error: Exception | None) -> str:
    if "Permission" in str(error):
        return "sudo usermod -aG docker $USER, then log in again"

    if sys.platform == "linux" and shutil.which("docker") is None:
        return "install Docker, such as: sudo apt-get install docker.io"

    return "sudo systemctl start docker" if sys.platform == "linux" else "start Docker Desktop"
