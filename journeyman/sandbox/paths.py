"""Files under one folder, and nothing else: the kernel confines every open (see `beneath`), not a string comparison.

Read and listed are regular files and folders only: a FIFO, a device or a socket is refused without waiting for it.
Written is by a temporary file beside the target, flushed, then renamed: a reader sees the old or the new content, never
half. Links that stay inside the folder are followed for reading; a link is never written through. What is NOT covered:
hard links that somebody else put into the folder, and mounts below it, count as being inside.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path

from journeyman.errors import ToolError, UsageError
from journeyman.sandbox.beneath import Open, best_open
from journeyman.sandbox.entry import Content, Entry, Kind, Stamp
from journeyman.sandbox.nearby import hint
from journeyman.sandbox.refusals import demand_file, outside, refusals, told

MAX_READ = 8 * 1024 * 1024
MAX_WRITE = 4 * 1024 * 1024
MAX_ENTRIES = 10_000
FOLDER = os.O_RDONLY | os.O_DIRECTORY


def demand_folder(path: Path) -> None:
    """Raises UsageError unless it is one."""
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder.", fix="Name one that exists: --root DIR")


class Root:
    """A folder that tools may use. Paths are relative to it, with `/`; an absolute path that lies in it is taken too.

    Raises:
        UsageError: the folder does not exist or is no folder.
    """

    def __init__(self, folder: str | os.PathLike[str], *, opener: Open | None = None) -> None:
        self.folder = Path(folder).resolve()
        self._open = opener or best_open()
        demand_folder(self.folder)

    def read(self, path: str, *, limit: int = MAX_READ) -> Content:
        """The bytes of a regular file.

        Raises:
            ToolError: it is outside, missing, no regular file, unreadable or larger than `limit` bytes.
        """
        with self._opened(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY) as descriptor:
            status = os.fstat(descriptor)
            demand_file(path, status)
            if status.st_size > limit:
                raise ToolError(f"{told(path)} has {status.st_size} bytes; at most {limit} can be read")

            data = _read_up_to(descriptor, limit + 1)

        if len(data) > limit:
            raise ToolError(f"{told(path)} has more than {limit} bytes; that is all that can be read")

        return Content(data, stat.S_IMODE(status.st_mode), _stamp(status))

    def stat(self, path: str, *, follow: bool = True) -> Entry:
        """What is at a path; links inside the folder are followed, the last one only where that is wanted.

        Raises:
            ToolError: it is outside or missing.
        """
        flags = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK) | (0 if follow else os.O_NOFOLLOW)
        with self._opened(path, flags) as descriptor:
            return _entry(self.relative(path), os.fstat(descriptor))

    def list(self, path: str = ".", *, limit: int = MAX_ENTRIES, hints: bool = True) -> tuple[list[Entry], bool]:
        """The entries of a folder sorted by name, and whether there are more than `limit`. Links are told as links.

        A mistaken path is answered with near names unless `hints` is off.

        Raises:
            ToolError: it is outside, missing, no folder or unreadable.
        """
        entries: list[Entry] = []
        with self._opened(path, FOLDER, hints=hints) as descriptor, os.scandir(descriptor) as found:
            for item in found:
                if len(entries) == limit:
                    return sorted(entries, key=lambda entry: entry.name), True

                with contextlib.suppress(FileNotFoundError):
                    entries.append(_entry(item.name, item.stat(follow_symlinks=False)))

        return sorted(entries, key=lambda entry: entry.name), False

    def write(
        self,
        path: str,
        data: bytes,
        *,
        aside: str = "",
        limit: int = MAX_WRITE,
        mode: int | None = None,
        was: Stamp | None = None,
    ) -> bool:
        """Replace or create a file in one step; folders on the way are created.

        The mode of a replaced file stays, unless another is given. With `aside` the file that is replaced is moved
        there first; returned is whether there was one to move.

        Raises:
            ToolError: it is outside, a folder, a link, no regular file, protected against writing, too large, or not
                as it `was` when it was read.
        """
        if self.relative(path) == "." or path.endswith("/"):
            raise ToolError(f"{told(path)} names a folder; give the name of a file")

        if len(data) > limit:
            raise ToolError(f"{len(data)} bytes are too many for one file; at most {limit} can be written")

        parent, name = self._split(path)  # before a folder on the way is created
        with self._parent(parent) as folder, refusals(path, self._hint):
            move = partial(self.move, path, aside) if aside else None
            return _replace(folder, name, data, path, move, mode=mode, stamp=was)

    def blocks(self, path: str) -> Generator[bytes]:
        """The bytes of a regular file of any size, a mebibyte at a time. Raises ToolError as `read` does."""
        with self._opened(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY) as descriptor:
            demand_file(path, os.fstat(descriptor))
            while block := os.read(descriptor, 1 << 20):
                yield block

    def move(self, source: str, target: str) -> None:
        """Give a file, a link or a folder another name; folders on the way are created, nothing is replaced.

        Raises:
            ToolError: a name is outside, the source is missing, the target is there, or it is another file system.
        """
        (above, name), (below, fresh) = (self._split(path) for path in (source, target))
        with self._opened(above, FOLDER) as old, refusals(source, self._hint):
            os.stat(name, dir_fd=old, follow_symlinks=False)
            with self._parent(below) as new, refusals(target, None):
                if _there(new, fresh):
                    raise ToolError(f"{told(target)} is there already; nothing was moved")

                os.rename(name, fresh, src_dir_fd=old, dst_dir_fd=new)

    def _split(self, path: str) -> tuple[str, str]:
        """Folder and name, of a path that may be made or moved."""
        relative = self.relative(path)
        parent, _, name = relative.rpartition("/")
        if relative == "." or not relative.isprintable():
            raise ToolError(f"{told(path)} is no name for a file")

        if ".." in relative.split("/"):
            raise ToolError(outside(path) if relative.startswith("../") else f"give {told(path)} without the ..")

        return parent or ".", name

    def relative(self, path: str) -> str:
        """The path relative to the folder, tidied by its letters alone: `./a//b` is `a/b`; `..` stays as it is."""
        if not path.strip():
            raise ToolError("the path is empty; give the name of a file or a folder")

        if "\0" in path:
            raise ToolError(f"{told(path)} is no name for a file")

        if path.startswith("/"):
            path = self._inside(path)

        return "/".join(part for part in path.split("/") if part not in {"", "."}) or "."

    def _hint(self, path: str) -> str:
        return hint(self, path)

    def _inside(self, path: str) -> str:
        with contextlib.suppress(ValueError):
            return str(Path(path).relative_to(self.folder))

        raise ToolError(outside(path))

    def _here(self) -> int:
        try:
            return os.open(self.folder, FOLDER | os.O_CLOEXEC)
        except OSError as error:
            reason = (error.strerror or "unknown").lower()
            raise ToolError(f"the folder the tools may use cannot be opened any more: {reason}") from None

    @contextlib.contextmanager
    def _opened(self, path: str, flags: int, *, hints: bool = True) -> Generator[int]:
        with refusals(path, self._hint if hints else None):
            relative = self.relative(path)
            folder = self._here()
            try:
                descriptor = self._open(folder, relative, flags)
            finally:
                os.close(folder)

            try:
                yield descriptor
            finally:
                os.close(descriptor)

    @contextlib.contextmanager
    def _parent(self, parent: str) -> Generator[int]:
        """A descriptor of the folder, created as far as it is missing."""
        parts = [part for part in parent.split("/") if part not in {"", "."}]
        for depth in range(1, len(parts) + 1):
            above, name = "/".join(parts[: depth - 1]) or ".", parts[depth - 1]
            with self._opened(above, FOLDER) as folder, contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=folder)

        with self._opened("/".join(parts) or ".", FOLDER) as folder:
            yield folder


def _there(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False

    return True


def _replace(
    folder: int,
    name: str,
    data: bytes,
    path: str,
    aside: Callable[[], None] | None,
    *,
    mode: int | None,
    stamp: Stamp | None,
) -> bool:
    was = _mode_of_target(folder, name, path)
    mode = was if mode is None else mode
    temporary = f".{os.urandom(8).hex()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o666, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if mode is not None:
                os.fchmod(file.fileno(), mode)

            os.fsync(file.fileno())

        if stamp is not None:
            _demand(stamp, folder, name, path)

        moved = aside is not None and was is not None
        if aside and moved:
            aside()

        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)

        raise

    os.fsync(folder)
    return moved


def _demand(stamp: Stamp, folder: int, name: str, path: str) -> None:
    if _stamp(os.stat(name, dir_fd=folder, follow_symlinks=False)) != stamp:
        raise ToolError(f"{told(path)} was changed by something else meanwhile; read it again")


def _mode_of_target(folder: int, name: str, path: str) -> int | None:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None

    if stat.S_ISLNK(status.st_mode):
        raise ToolError(f"{told(path)} is a link; write to the file it points to")

    demand_file(path, status)
    if not status.st_mode & 0o222:
        raise ToolError(f"{told(path)} is protected against writing")

    return stat.S_IMODE(status.st_mode)


def _read_up_to(descriptor: int, limit: int) -> bytes:
    pieces = []
    while limit > 0 and (piece := os.read(descriptor, min(limit, 1 << 20))):
        pieces.append(piece)
        limit -= len(piece)

    return b"".join(pieces)


def _entry(name: str, status: os.stat_result) -> Entry:
    kinds: dict[int, Kind] = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
    return Entry(name, kinds.get(stat.S_IFMT(status.st_mode), "other"), status.st_size, _stamp(status))


def _stamp(status: os.stat_result) -> Stamp:
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
