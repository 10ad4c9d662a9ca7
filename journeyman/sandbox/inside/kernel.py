"""System calls that Python does not offer, by ctypes. Only the standard library.

Numbers are of the generic table, which every architecture shares since Linux 5.0, but for the two that are older.
Sources: the kernel's include/uapi headers and its table of system calls.
"""

import ctypes
import fcntl
import os
import socket
import sys
from typing import Any

NEW_NS, NEW_CGROUP, NEW_UTS, NEW_IPC, NEW_USER, NEW_PID, NEW_NET = (
    0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
NAMESPACES = NEW_NS | NEW_CGROUP | NEW_UTS | NEW_IPC | NEW_USER | NEW_PID | NEW_NET
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV = 1, 2, 4
SET_DUMPABLE, DEATH_SIGNAL, NO_NEW_PRIVILEGES, CHILD_SUBREAPER = 4, 1, 38, 36
_AT_RECURSIVE = 0x8000
_SIGCHLD = 17
_MOUNT_SETATTR = 442
_CLONE, _PIVOT_ROOT = {"x86_64": (56, 155), "aarch64": (220, 41)}.get(os.uname().machine, (-1, -1))

_libc = ctypes.CDLL(None, use_errno=True)
_holding = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter's lock, which a forked child needs
_before, _after, _after_in_child = (
    getattr(ctypes.pythonapi, f"PyOS_{name}") for name in ("BeforeFork", "AfterFork_Parent", "AfterFork_Child")
)
_TWO, _SIX, _ATTRIBUTES = ctypes.c_uint32 * 2, ctypes.c_uint32 * 6, ctypes.c_uint64 * 4


def call(number: int, *arguments: Any) -> int:
    """Raises OSError."""
    return _checked(_libc.syscall(ctypes.c_long(number), *arguments))


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags))


def prctl(option: int, *values: Any) -> None:
    _checked(_libc.prctl(option, *values, *([0] * (4 - len(values)))))


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode()
    )
    _checked(result, target)


def detach(target: str) -> None:
    """Take a mount out of the tree; what is in use goes on until it is let go."""
    _checked(_libc.umount2(os.fsencode(target), MNT_DETACH), target)


def lock(target: str, attributes: int, *, below: bool = True) -> None:
    """Add attributes to a mount and those below it."""
    wanted = _ATTRIBUTES(attributes, 0, 0, 0)
    flags = _AT_RECURSIVE if below else 0
    call(_MOUNT_SETATTR, -100, os.fsencode(target), flags, wanted, ctypes.sizeof(wanted))


def enter(root: str) -> None:
    """Make a mount the root, and forget the old one."""
    os.chdir(root)
    call(_PIVOT_ROOT, b".", b".")
    detach(".")
    os.chdir("/")


def drop_capabilities() -> None:
    _checked(_libc.capset(_TWO(0x20080522, 0), _SIX()))


def clone(flags: int) -> int:
    """Fork into new namespaces; 0 in the child, which is the first process of a new pid namespace among them."""
    _before()
    pid = _holding.syscall(ctypes.c_long(_CLONE), ctypes.c_ulong(flags | _SIGCHLD), 0, 0, 0, 0)
    error = ctypes.get_errno()
    if pid == 0:
        _after_in_child()
        return 0

    _after()
    if pid < 0:
        raise OSError(error, os.strerror(error))

    return pid


def map_ids(inside: int, user: int, group: int) -> None:
    """Have one user and group in a new user namespace; `user` and `group` are who they are outside."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{inside} {user} 1"),
        ("gid_map", f"{inside} {group} 1"),
    ):
        number = os.open(f"/proc/self/{name}", os.O_WRONLY)
        os.write(number, text.encode())
        os.close(number)


def loopback() -> None:
    """Have 127.0.0.1, which in a new network namespace is all there is."""
    request = b"lo".ljust(16, b"\0") + (1).to_bytes(2, sys.byteorder) + bytes(22)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, request)


def _checked(result: int, path: str | None = None) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)

    return result
