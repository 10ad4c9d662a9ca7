"""The workspace's states as layers of an overlay: a snapshot freezes what was written and begins a new layer on top.

Nothing is copied, so its cost does not grow with the files. Only the supervisor can reach the layers: its working
folder is theirs, and mount options name them relative to it. Only the standard library.
"""

import os
import shutil
from contextlib import suppress

from journeyman.sandbox.inside.copies import walk
from journeyman.sandbox.inside.kernel import MS_NODEV, MS_NOSUID, MS_RDONLY, MS_REMOUNT, detach, mount

MOST = 200
_EBUSY = 16


class Layers:
    """States of a folder; 0 is the one it began with. Raises OSError."""

    def __init__(self, home: str, template: str | None) -> None:
        self.home = home
        self._base = template or "empty"
        self._states: list[list[str]] = [[]]
        """For each, its layers, the uppermost first."""
        self._below: list[str] = []
        self._count = 0
        self._left = ""
        os.mkdir("empty")
        self._mount()

    def snapshot(self) -> int:
        if len(self._states) > MOST:
            raise OSError(f"there are {MOST} snapshots already")

        try:
            mount("none", self.home, flags=MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)
        except OSError as error:
            busy = "a file is still open for writing; close it before the snapshot"
            raise OSError(error.errno, busy if error.errno == _EBUSY else error.strerror) from None

        self._below = [self._upper, *self._below]
        self._states.append(self._below)
        detach(self.home)
        self._mount()
        return len(self._states) - 1

    def restore(self, number: int) -> None:
        if not 0 <= number < len(self._states):
            raise OSError(f"there is no snapshot {number}")

        self._left = f"{self._count}"
        self._below = self._states[number]
        detach(self.home)
        self._mount()

    def tidy(self) -> None:
        if self._left:
            shutil.rmtree(self._left, ignore_errors=True)
            self._left = ""

    def begin(self) -> None:
        """What is there now is what it begins with."""
        self._below = [self._upper, *self._below]
        detach(self.home)
        self._base = ":".join([*self._below, self._base])
        self._below, self._states = [], [[]]
        self._mount()

    def changed(self) -> list[str]:
        found = {path for layer in [self._upper, *self._below] for path, _ in walk(layer)}
        with suppress(FileNotFoundError):
            return [
                path for path in found if os.path.isfile(place := f"{self.home}/{path}") and not os.path.islink(place)
            ]

        return []

    @property
    def _upper(self) -> str:
        return f"{self._count}/u"

    def _mount(self) -> None:
        self._count += 1
        os.makedirs(self._upper)
        os.mkdir(f"{self._count}/w")
        lower = ":".join([*self._below, self._base])
        options = f"lowerdir={lower},upperdir={self._upper},workdir={self._count}/w,userxattr"
        mount("overlay", self.home, "overlay", MS_NOSUID | MS_NODEV, options)
