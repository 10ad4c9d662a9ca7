"""The server that sandboxes are forked from: Python with its modules loaded, in an empty file system, without rights.

The host starts one for each set of preloaded modules and sends it two kinds of message, each with a descriptor:

    open      a stream's end: fork a sandbox whose supervisor speaks on it; its pid is told there first. Then the
              control groups that it joins, and last, if there is a way to the network (`door`), where the supervisor
              hands over what its proxy listens on
    template  an archive: have a folder that workspaces can begin with

It never runs untrusted code. When the host goes, it goes, and every sandbox with it. Only the standard library.
"""

import gc
import importlib
import json
import os
import resource
import select
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from journeyman.sandbox.beneath import best_open
from journeyman.sandbox.inside import kernel, landlock, seccomp, tree, worker
from journeyman.sandbox.inside.copies import Copies, fill
from journeyman.sandbox.inside.door import hand_over
from journeyman.sandbox.inside.frames import pack
from journeyman.sandbox.inside.layers import Layers
from journeyman.sandbox.inside.supervisor import ENVIRONMENT, States, Supervisor

INSIDE = 1000
TEMPLATES_KEPT = 64
NUMBERS_MAX = 8
REHEARSALS = 20
"""Times that code runs until it changes itself no more: what it writes later is copied in each sandbox."""
_LINGER_MS = 20
MESSAGE_MAX = 1 << 16


class Zygote:
    """`namespaces` is false for the tier that has only Landlock: no tree, one process, the host's own files below."""

    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self._control = control
        self._settings = settings
        self._namespaces: bool = settings["namespaces"]
        self._children: dict[int, tuple[int, str | None]] = {}
        """Pid and template of each, by a descriptor that becomes readable when it is dead."""
        self._templates: dict[str, int] = {}

    def prepare(self) -> None:
        """Give up what is not needed, and load what is. Raises OSError, ImportError."""
        user, group = os.getuid(), os.getgid()
        if self._namespaces:
            kernel.unshare(kernel.NEW_NS | (kernel.NEW_USER if user else 0))
            if user:
                kernel.map_ids(user, user, group)

            tree.build(self._settings["root"], [*tree.python_folders(), *self._settings["paths"]], 1024)

        if user == 0:
            os.setgroups([])
            nobody = self._settings["nobody"]
            os.setresgid(nobody, nobody, nobody)
            os.setresuid(nobody, nobody, nobody)

        kernel.drop_capabilities()
        kernel.prctl(kernel.NO_NEW_PRIVILEGES, 1)
        if not self._namespaces:
            kernel.prctl(kernel.CHILD_SUBREAPER, 1)  # what a supervisor leaves behind is buried here

        kernel.prctl(kernel.SET_DUMPABLE, 1)  # its children write their own user maps
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        sys.path.extend(self._settings["paths"])
        for name in self._settings["preload"]:
            importlib.import_module(name)

        best_open()  # found out once, for all of them
        worker.rehearse(REHEARSALS)
        if self._namespaces:
            _rehearse()

        gc.freeze()  # what no collection looks at or frees stays shared

    def serve(self) -> None:
        poller = select.poll()
        poller.register(self._control, select.POLLIN)
        while True:
            for source, _ in poller.poll(_LINGER_MS if self._bury_strays() else None):
                if source != self._control.fileno():
                    poller.unregister(source)
                    self._bury(source)
                    continue

                message, numbers, _, _ = socket.recv_fds(self._control, MESSAGE_MAX, NUMBERS_MAX)
                if not message:
                    return

                if (watch := self._obey(json.loads(message), numbers)) is not None:
                    poller.register(watch, select.POLLIN)

    def _obey(self, message: dict[str, Any], numbers: list[int]) -> int | None:
        """A descriptor that becomes readable when the sandbox that was opened is dead."""
        if message["op"] == "open":
            return self._open(message, socket.socket(fileno=numbers[0]), numbers[1:])

        self._keep(message["name"], numbers[0])
        return None

    def _open(self, message: dict[str, Any], stream: socket.socket, others: list[int]) -> int | None:
        user, group = os.getuid(), os.getgid()
        try:
            pid = kernel.clone(kernel.NAMESPACES) if self._namespaces else os.fork()
        except OSError as error:
            pid, told = -1, {"failed": f"no new namespaces: {error.strerror}"}
        else:
            told = {"pid": pid}

        if pid == 0:
            self._control.close()
            _live(message, stream, others, user, group, namespaces=self._namespaces)

        with suppress(OSError):  # whoever ordered it has gone: no reason for all the others to end
            stream.sendall(pack(told))

        stream.close()
        for number in others:
            os.close(number)

        if pid < 0:
            return None

        template = message.get("template")
        if template in self._templates:
            self._templates[template] += 1

        watch = os.pidfd_open(pid)
        self._children[watch] = pid, template
        return watch

    def _bury(self, watch: int) -> None:
        """The sandbox is dead, all of it: its first process ends last."""
        os.close(watch)
        pid, template = self._children.pop(watch)
        os.waitpid(pid, 0)
        if template in self._templates:
            self._templates[template] -= 1

    def _bury_strays(self) -> bool:
        """Bury what dead supervisors left; whether there is more of it, about to die."""
        if self._namespaces:
            return False

        ours = {pid for pid, _ in self._children.values()}
        strays: set[int] = set()
        with suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as file:
            strays = {int(pid) for pid in file.read().split()} - ours

        for pid in strays:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)

        return bool(strays)

    def _keep(self, name: str, archive: int) -> None:
        """Unpack a template; old ones that nobody uses make room."""
        unused = [old for old, users in self._templates.items() if not users]
        for old in unused[: max(len(self._templates) - TEMPLATES_KEPT, 0)]:
            del self._templates[old]
            shutil.rmtree(f"{tree.TEMPLATES}/{old}", ignore_errors=True)

        folder = f"{tree.TEMPLATES}/{name}"
        with open(archive, "rb") as file, suppress(OSError):  # what opens with it is told that it is not there
            os.mkdir(f"{folder}.new")
            fill(f"{folder}.new", file.read())
            os.rename(f"{folder}.new", folder)
            self._templates[name] = 0


def _rehearse() -> None:
    """Serve some cells, our own."""
    ours, theirs = socket.socketpair()
    ours.sendall(pack({"op": "cell", "timeout": 1, "room": 1}, b"1") * REHEARSALS)
    ours.shutdown(socket.SHUT_WR)
    supervisor = Supervisor(theirs.fileno(), theirs.fileno(), Copies(tree.HOME), alone=False)
    supervisor.begin({})
    supervisor.serve()
    ours.close()
    theirs.close()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _live(
    message: dict[str, Any],
    stream: socket.socket,
    others: list[int],
    user: int,
    group: int,
    *,
    namespaces: bool,
) -> NoReturn:
    """A sandbox's first process, from its first breath to its last."""
    try:
        door = socket.socket(fileno=others.pop()) if message.get("door") else None
        for number in others:
            os.write(number, b"0")
            os.close(number)

        files, confine = _housed(message, user, group) if namespaces else _bare(message)
        if door is not None:
            hand_over(door)
            door.close()

        kernel.prctl(kernel.DEATH_SIGNAL, signal.SIGKILL)
        kernel.prctl(kernel.SET_DUMPABLE, 0)
        os.environ["HOME"] = files.home
        gc.enable()
        number = stream.detach()
        supervisor = Supervisor(number, number, files, confine=confine, alone=namespaces)
        supervisor.begin(message)
        supervisor.serve()
    except OSError as error:
        with suppress(OSError):
            os.write(stream.fileno(), pack({"failed": f"{error.strerror or error} ({error.filename})"}))
    finally:
        os._exit(0)


def _housed(message: dict[str, Any], user: int, group: int) -> tuple[States, Callable[[], None]]:
    kernel.map_ids(INSIDE, user, group)
    tree.furnish(message.get("template"), message["disk_mb"], message["inodes"])
    files = Layers(tree.HOME, "template" if message.get("template") else None)
    socket.sethostname("sandbox")
    kernel.loopback()
    return files, _confine


def _bare(message: dict[str, Any]) -> tuple[States, Callable[[], None]]:
    home = message["home"]
    readable = [*tree.SYSTEM, *tree.python_folders(), *sys.path]

    def confine() -> None:
        devices = [f"/dev/{name}" for name in tree.DEVICES]
        landlock.restrict(readable, [home, *devices], network=False)
        seccomp.refuse(seccomp.assemble(lone=os.getpid()))

    os.environ["TMPDIR"] = home
    return Copies(home), confine


def _confine() -> None:
    """The last thing that a worker or a command does as one of us."""
    kernel.drop_capabilities()
    with suppress(OSError):  # a second wall; the probe tells whether it stands
        landlock.restrict(["/"], [tree.WRITABLE, "/tmp", "/dev"])  # noqa: S108

    seccomp.refuse(_FILTER)


_FILTER = seccomp.assemble()


def main() -> None:
    """Its argument is the host's socket: settings come on it, and it tells there when it is ready, or why it is not."""
    control = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(control.recv(MESSAGE_MAX))
    sys.path.remove(settings["code"])
    os.environ.clear()
    python = os.path.dirname(os.path.realpath(sys.executable))
    os.environ.update(ENVIRONMENT, PATH=f"{python}:{ENVIRONMENT['PATH']}", TMPDIR="/tmp", OPENBLAS_NUM_THREADS="1")  # noqa: S108
    zygote = Zygote(control, settings)
    try:
        zygote.prepare()
    except (OSError, ImportError) as error:
        control.send(json.dumps({"failed": str(error)}).encode())
        return

    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)

    control.send(b"{}")
    zygote.serve()


if __name__ == "__main__":
    main()
