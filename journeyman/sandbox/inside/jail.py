"""One program, such as somebody else's MCP server, in namespaces and a file system of its own, until it ends.

    python -I -S -c BOOT SETTINGS PROGRAM [ARGUMENT...]

SETTINGS is the number of a descriptor to read them from: the program can read what is on the command line.
Its standard streams and environment are the program's. Three processes come of it: this one, which waits outside; the
first of the new process namespace, with which everything in it dies; and the program, which sees the system's folders
and what it was given, may write only what it was given to write, and has no network but a proxy's listener, where there
is one. NOT covered: how much memory and time it takes. Only the standard library.
"""

import json
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Any, NoReturn

from journeyman.sandbox.inside import kernel, landlock, seccomp, tree
from journeyman.sandbox.inside.door import hand_over

INSIDE = 1000
ROOM_MB = 256
"""Of scratch files."""
FAILED = 125


def main() -> NoReturn:
    """The settings are `root`, `home`, `read`, `write` (see `tree.build_home`), `cwd`, `program`, `host`, `door`."""
    with open(int(sys.argv[1]), "rb") as file:
        settings: dict[str, Any] = json.load(file)

    user, group = os.getuid(), os.getgid()
    try:
        kernel.unshare(kernel.NEW_NS | kernel.NEW_USER)
        kernel.map_ids(user, user, group)
        tree.build_home(settings["root"], settings["home"], settings["read"], settings["write"], ROOM_MB)
        kernel.prctl(kernel.SET_DUMPABLE, 1)  # its child writes its own user map
        kernel.prctl(kernel.DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != settings["host"]:
            os._exit(FAILED)

        pid = kernel.clone(kernel.NAMESPACES)
        if pid == 0:
            _begin(settings, user, group)
    except OSError as error:
        _give_up(f"the sandbox cannot be made: {error}")

    _wait(pid)


def _begin(settings: dict[str, Any], user: int, group: int) -> None:
    """Be the first process of the namespace, and start the program as its second."""
    kernel.map_ids(INSIDE, user, group)
    kernel.prctl(kernel.DEATH_SIGNAL, signal.SIGKILL)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("proc", "/proc", "proc", flags, "subset=pid")
    socket.sethostname("sandbox")
    kernel.loopback()
    with socket.socket(fileno=settings["door"]) as door:
        hand_over(door)

    pid = os.fork()
    if pid == 0:
        _become(settings)

    _wait(pid)


def _become(settings: dict[str, Any]) -> NoReturn:
    kernel.prctl(kernel.NO_NEW_PRIVILEGES, 1)
    kernel.drop_capabilities()
    with suppress(OSError):  # a second wall
        landlock.restrict(["/"], [tree.HOME, "/tmp", "/dev", *settings["write"]])  # noqa: S108 - its own

    seccomp.refuse(seccomp.assemble())
    try:
        os.chdir(settings["cwd"])
    except OSError:
        os.chdir(tree.HOME)

    os.environ["NODE_USE_ENV_PROXY"] = "1"  # else Node does not ask the proxy
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # which Python ignores, and so would the program

    try:
        os.execv(settings["program"], sys.argv[2:])
    except OSError as error:
        _give_up(f"{settings['program']} cannot be started in the sandbox: {error.strerror}")


def _wait(pid: int) -> NoReturn:
    """Until it ends, then end as it did. What else is left to this process is buried; the streams are not its own."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)

    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the program is sent it too
    while True:
        ended, status = os.wait()
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _give_up(why: str) -> NoReturn:
    os.write(2, f"{why}\n".encode(errors="backslashreplace"))
    os._exit(FAILED)


if __name__ == "__main__":
    main()
