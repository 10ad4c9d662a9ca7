"""Opening a path so that the kernel itself refuses to leave a folder.

Checking a path and opening it afterwards can be raced: between the two, a link is put in the way. Here it is one call:
Linux `openat2` with `RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS` resolves the whole path under a folder or fails with
EXDEV. Where there is no `openat2` (another system, an old kernel, a filter in the way), the path is walked one
component at a time with `O_NOFOLLOW`: nothing escapes either, but links inside the folder are refused too.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from functools import cache

from journeyman.errors import SandboxError

Open = Callable[[int, str, int], int]
"""(descriptor of the folder, path relative to it, flags) -> descriptor. Raises OSError."""

SYS_OPENAT2 = 437  # the same number on every architecture that Linux got it for
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_BENEATH = 0x08
RETRIES = 16
"""openat2 answers EAGAIN when something was renamed while it looked; a quiet folder needs no second try."""


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@cache
def best_open() -> Open:
    """What this machine has.

    Raises:
        SandboxError: neither `openat2` nor opening relative to a folder exists here.
    """
    if sys.platform == "linux" and _kernel_has_openat2():
        return openat2

    if os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW"):
        return walk

    raise SandboxError(
        "this system cannot open files confined to a folder",
        fix="run journeyman on Linux or macOS, on Windows inside WSL",
    )


def openat2(folder: int, path: str, flags: int) -> int:
    how = _OpenHow(flags=flags | os.O_CLOEXEC, mode=0, resolve=RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    name = os.fsencode(path)
    for _ in range(RETRIES):
        descriptor = _libc().syscall(SYS_OPENAT2, folder, name, ctypes.byref(how), ctypes.sizeof(how))
        if descriptor >= 0:
            return descriptor

        if (number := ctypes.get_errno()) not in {errno.EAGAIN, errno.EINTR}:
            raise OSError(number, os.strerror(number), path)

    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)


def walk(folder: int, path: str, flags: int) -> int:
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts or path.startswith("/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)

    here = os.dup(folder)
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below

        return os.open(parts[-1] if parts else ".", flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
    finally:
        os.close(here)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _kernel_has_openat2() -> bool:
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(openat2(here, ".", os.O_RDONLY | os.O_DIRECTORY))
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(here)
