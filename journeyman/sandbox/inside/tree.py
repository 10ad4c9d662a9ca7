"""The file system that sandboxes see: system programs and this Python read-only, a few devices, nothing else.

Built once, by the server, in a mount namespace of its own; each sandbox adds its workspace. Only the standard library.
"""

import os
import sys
from collections.abc import Iterable

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
    begin(root)
    furnish_system(root, folders)
    for name in ("tmp", "dev/shm", HOME, STATE):
        _folder(root, name)

    mount("tmpfs", _folder(root, TEMPLATES), "tmpfs", MS_NOSUID | MS_NODEV, f"size={room_mb}m,mode=755")
    os.chmod(f"{root}{TEMPLATES}", 0o777)  # noqa: S103 - nobody else gets there
    end(root)


def build_home(root: str, home: str, read: Iterable[str], write: Iterable[str], room_mb: int) -> None:
    """The same for a program that is not a sandbox's worker. Raises OSError.

    What is mounted is mounted on what is made here, never in a folder that the program can write: another that runs
    already could have it lead elsewhere.

    Args:
        root: an empty folder, which no such program can write.
        home: a folder that is all its own, which it sees as `HOME`.
        read: what it sees besides; not what lies in `home` or in `write`.
        write: what it may change too; none in another.
        room_mb: for scratch files, which lie in memory.
    """
    begin(root)
    for name in ("tmp", "dev/shm"):
        mount("tmpfs", _folder(root, name), "tmpfs", MS_NOSUID | MS_NODEV, f"size={room_mb}m,mode=777")

    furnish_system(root, sorted(read, key=len))
    for path in sorted(write, key=len):
        show(root, path, writable=True)

    show(root, HOME, source=home, writable=True)
    end(root)


def begin(root: str) -> None:
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=755")


def end(root: str) -> None:
    enter(root)
    lock("/", ATTR_RDONLY, below=False)


def furnish_system(root: str, folders: Iterable[str]) -> None:
    """System programs, these folders and a few devices. Raises OSError."""
    for path in dict.fromkeys([*SYSTEM, *folders]):
        show(root, path)

    for name, text in _FILES.items():
        if not os.path.lexists(f"{root}/{name}"):
            with open(f"{_folder(root, os.path.dirname(name))}/{os.path.basename(name)}", "w") as file:
                file.write(text)

    mount("/proc", _folder(root, "proc"), flags=MS_BIND | MS_REC)
    for name in DEVICES:
        os.close(os.open(f"{_folder(root, 'dev')}/{name}", os.O_CREAT | os.O_WRONLY))
        mount(f"/dev/{name}", f"{root}/dev/{name}", flags=MS_BIND)

    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(target, f"{root}/dev/{name}")


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


def show(root: str, path: str, *, source: str = "", writable: bool = False) -> None:
    """Have a path of the host's in the tree, read-only unless said: a link as a link, anything else by a mount.

    Raises:
        OSError: what is there cannot be mounted, or not be locked.
    """
    if ".." in path.split("/"):  # which in the tree would lead elsewhere
        path = os.path.realpath(path)

    place, source = f"{root}{path}", source or path
    if not os.path.lexists(source):
        return

    if not _make_above(root, path):
        if (real := os.path.realpath(path)) != path:
            show(root, real, writable=writable)

        return

    if os.path.islink(place) or (not writable and _is_there(source, place)):
        return

    if os.path.islink(source) and not path.startswith("/etc/"):
        if not os.path.lexists(place):
            os.symlink(os.readlink(source), place)

        return

    _make_point(source, place)
    try:
        mount(source, place, flags=MS_BIND | MS_REC)
    except FileNotFoundError:  # a link in /etc that leads nowhere
        return

    lock(place, ATTR_NOSUID | ATTR_NODEV | (0 if writable else ATTR_RDONLY))


def _make_above(root: str, path: str) -> bool:
    """Make the folders above a path; False where one is a link, which would lead out of the tree."""
    place = root
    for name in path.strip("/").split("/")[:-1]:
        place = f"{place}/{name}"
        if os.path.islink(place):
            return False

        if not os.path.lexists(place):
            os.mkdir(place, 0o755)

    return True


def _make_point(source: str, place: str) -> None:
    """What a mount of the source can lie on, if there is nothing yet."""
    if os.path.lexists(place):
        return

    if os.path.isdir(source):
        os.mkdir(place, 0o755)
    else:
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY))


def _is_there(source: str, place: str) -> bool:
    """It is seen already, as part of a folder above it."""
    return os.path.lexists(place) and os.path.samefile(source, place)
