"""The workspace's states as archives in memory: works on any file system, and costs what the files weigh.

They live in the supervisor's memory, out of reach of the code whose files they are.
"""

import io
import os
import shutil
import tarfile

MOST = 32


class Copies:
    """States of a folder; 0 is the one it began with. Raises OSError."""

    def __init__(self, home: str) -> None:
        self.home = home
        self._states = [pack(home)]
        self._known = stamps(home)

    def snapshot(self) -> int:
        if len(self._states) > MOST:
            raise OSError(f"there are {MOST} snapshots already")

        self._states.append(pack(self.home))
        return len(self._states) - 1

    def restore(self, number: int) -> None:
        if not 0 <= number < len(self._states):
            raise OSError(f"there is no snapshot {number}")

        fill(self.home, self._states[number])
        if number == 0:
            self._known = stamps(self.home)

    def tidy(self) -> None:
        """Nothing is left behind."""

    def begin(self) -> None:
        """What is there now is what it begins with."""
        self._states = [pack(self.home)]
        self._known = stamps(self.home)

    def changed(self) -> list[str]:
        now = stamps(self.home).items()
        return [
            path for path, stamp in now if self._known.get(path) != stamp and not os.path.islink(f"{self.home}/{path}")
        ]


def pack(folder: str, *, most: int | None = None) -> bytes:
    """A folder's regular files, folders and links as an uncompressed tar.

    Raises:
        OSError: they weigh more than `most` bytes.
    """
    data = io.BytesIO()
    left = most

    def kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        nonlocal left
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            return None

        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mode |= 0o700 if member.isdir() else 0o600
        if left is not None:
            left -= member.size + 512
            if left < 0:
                raise OSError(f"{folder} holds more than {most} bytes")

        return member

    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(folder, arcname=".", filter=kept)

    return data.getvalue()


def fill(folder: str, archive: bytes) -> None:
    """Make a folder hold what was packed, and nothing else. Links are made, never followed."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)

    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        vars(packed)["extraction_filter"] = lambda member, _: member  # ours comes first; before 3.11.4 there is none
        for member in packed.getmembers()[1:]:
            if _as_it_was(member, folder):
                packed.extract(member, folder)


def walk(folder: str, most: int = 100_000) -> list[tuple[str, os.stat_result]]:
    """Regular files and links below a folder, as paths relative to it; links are not followed."""
    found: list[tuple[str, os.stat_result]] = []
    folders = [""]
    while folders and len(found) < most:
        inside = folders.pop()
        with os.scandir(f"{folder}/{inside}") as entries:
            for entry in entries:
                path = f"{inside}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{path}/")
                elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                    found.append((path, entry.stat(follow_symlinks=False)))

    return found


def stamps(folder: str) -> dict[str, tuple[int, int, int]]:
    """What tells whether a folder's files are still the same: for each, change time in ns, inode and size."""
    return {path: (status.st_ctime_ns, status.st_ino, status.st_size) for path, status in walk(folder)}


def _as_it_was(member: tarfile.TarInfo, folder: str) -> bool:
    """Whether it comes to lie inside, not through a link; `pack` makes no others."""
    parts = [part for part in member.name.split("/")[:-1] if part != "."]
    if member.name.startswith("/") or ".." in member.name.split("/"):
        return False

    return os.path.realpath(os.path.join(folder, *parts)) == os.path.join(os.path.realpath(folder), *parts)
