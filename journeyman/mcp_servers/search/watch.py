"""What has changed in a folder since it was last asked, as the kernel tells it (inotify).

There is no thread: the kernel queues each change as it happens and the queue is read before a search, so that nothing
which was written before the search is missed. Where it cannot tell, the answer is None: the queue ran over, there
are more folders than may be watched, this is no Linux. NOT covered: changes made by another machine on a network disk.
"""

import ctypes
import errno
import os
import struct
from contextlib import suppress
from pathlib import Path

CHANGED = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
"""Modified, attributes, moved from, moved to, created, deleted, itself deleted or moved."""
ONLY_FOLDERS, UNFOLLOWED = 0x01000000, 0x02000000
OVERFLOW, IGNORED, IS_FOLDER = 0x4000, 0x8000, 0x40000000
NONBLOCK = 0o4000 | 0o2000000
_HEAD = struct.Struct("iIII")


class Watch:
    """One folder tree; folders in it are watched as they are named to `add`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[int, str] = {}
        self._descriptor = -1
        self._refused = False
        self._libc = ctypes.CDLL(None, use_errno=True)

    def begin(self) -> None:
        """Watch nothing yet, and know nothing; before the folders are added."""
        self.close()
        if not self._refused:
            with suppress(AttributeError):  # not on every system
                self._descriptor = self._libc.inotify_init1(NONBLOCK)

    def add(self, folder: str) -> None:
        """Watch the entries of a folder, whose path is relative; `""` is the root itself. Before they are listed."""
        if self._descriptor < 0:
            return

        path = os.fsencode(self._root / folder)
        watch = self._libc.inotify_add_watch(self._descriptor, path, CHANGED | ONLY_FOLDERS | UNFOLLOWED)
        if watch >= 0:
            self._folders[watch] = folder
        elif ctypes.get_errno() == errno.ENOSPC:  # no more may be watched
            self._refused = True
            self.close()

    def changes(self) -> set[str] | None:
        """Paths that may have changed; None where it may be anything."""
        if self._descriptor < 0:
            return None

        paths: set[str] = set()
        while data := self._read():
            at = 0
            while at < len(data):
                watch, mask, _, length = _HEAD.unpack_from(data, at)
                name = os.fsdecode(data[at + _HEAD.size : at + _HEAD.size + length].rstrip(b"\0"))
                at += _HEAD.size + length
                folder = self._folders.get(watch)
                if mask & (OVERFLOW | IGNORED | IS_FOLDER):  # a folder that came or went has a whole tree in it
                    return None

                if folder is not None and name:
                    paths.add(f"{folder}/{name}" if folder else name)

        return paths

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self._folders.clear()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
