"""The file system that sandboxes see: system programs and this Python read-only, a few devices, nothing else.

Built once, by the server, in a mount namespace of its own; each sandbox adds its workspace. Only the standard library.
"""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress

from journeyman.sandbox.inside.kernel import (
    ATTR_NODEV,
    ATTR_NOSUID,
    ATTR_RDONLY,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    enter,
    lock,
    mount,
)

WRITABLE = "/sandbox"
"""Landlock allows what is below; the workspace lies one deeper, because each of its states is a mount of its own."""
HOME, STATE, TEMPLATES = f"{WRITABLE}/work", "/.state", "/.templates"
SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/etc/alternatives",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/mime.types", "/etc/fonts",
    "/etc/magic", "/etc/protocols", "/etc/services",
)  # fmt: skip
DEVICES = ("null", "zero", "full", "random", "urandom")
_FILES = {
    "etc/passwd": f"worker:x:1000:1000::{HOME}:/bin/sh\n",
    "etc/group": "worker:x:1000:\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/hostname": "sandbox\n",
}


def python_folders() -> list[str]:
    """Where this interpreter and its standard library lie."""
    return sorted({sys.base_prefix, sys.base_exec_prefix, os.path.dirname(os.path.realpath(sys.executable))})


def build(root: str, folders: Iterable[str], room_mb: int) -> None:
    """Make the tree on the folder `root` and enter it; the old root is gone then. Raises OSError."""
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=755")
    for path in dict.fromkeys([*SYSTEM, *folders]):
        _show(root, path)

    for name, text in _FILES.items():
        with open(f"{_folder(root, os.path.dirname(name))}/{os.path.basename(name)}", "w") as file:
            file.write(text)

    for name in ("proc", "tmp", "dev/shm", HOME, STATE):
        _folder(root, name)

    mount("/proc", f"{root}/proc", flags=MS_BIND | MS_REC)
    mount("tmpfs", _folder(root, TEMPLATES), "tmpfs", MS_NOSUID | MS_NODEV, f"size={room_mb}m,mode=755")
    for name in DEVICES:
        os.close(os.open(f"{root}/dev/{name}", os.O_CREAT | os.O_WRONLY))
        mount(f"/dev/{name}", f"{root}/dev/{name}", flags=MS_BIND)

    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(target, f"{root}/dev/{name}")

    os.chmod(f"{root}{TEMPLATES}", 0o777)  # noqa: S103 - nobody else gets there
    enter(root)
    lock("/", ATTR_RDONLY, below=False)


def furnish(template: str | None, disk_mb: int, inodes: int) -> None:
    """What a sandbox has to itself, in its own mount namespace: scratch space, processes, room for its workspace.

    Afterwards the working folder is the one of the layers, which nothing else can reach. Raises OSError.
    """
    size = f"size={disk_mb}m,nr_inodes={inodes},mode=700"
    mount("tmpfs", STATE, "tmpfs", MS_NOSUID | MS_NODEV, size)
    os.chdir(STATE)
    for name, target in (("tmp", "/tmp"), ("shm", "/dev/shm")):  # noqa: S108 - the sandbox's own
        os.mkdir(name)
        mount(name, target, flags=MS_BIND)

    if template is not None:
        os.mkdir("template")
        mount(f"{TEMPLATES}/{template}", "template", flags=MS_BIND)

    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "subset=pid")
    for cover in (STATE, TEMPLATES):
        mount("none", cover, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV, "size=4k,nr_inodes=2,mode=000")


def _folder(root: str, path: str) -> str:
    place = f"{root}/{path.strip('/')}"
    os.makedirs(place, mode=0o755, exist_ok=True)
    return place


def _show(root: str, path: str) -> None:
    """Have a path of the host's in the tree, read-only: a link as a link, anything else by a mount."""
    place = f"{root}{path}"
    if os.path.lexists(place) or not os.path.lexists(path):
        return

    parent = _folder(root, os.path.dirname(path))
    if os.path.islink(path) and not path.startswith("/etc/"):
        os.symlink(os.readlink(path), place)
        return

    if os.path.isdir(path):
        os.mkdir(place)
    else:
        os.close(os.open(f"{parent}/{os.path.basename(path)}", os.O_CREAT | os.O_WRONLY))

    with suppress(FileNotFoundError):
        mount(path, place, flags=MS_BIND | MS_REC)
        lock(place, ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV)
