"""What a candidate changed, carried over to the real folder: all of it, or nothing."""

import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from journeyman.errors import ToolError
from journeyman.sandbox.entry import Content
from journeyman.sandbox.paths import Root
from journeyman.sandbox.refusals import told

MOST_BYTES = 64 << 20
"""Of all files of a folder that candidates have copies of."""


def carry(folder: Path, to: Path, changed: Sequence[str], gone: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Let files in `to` be as they are in `folder`; where one cannot, those before it become again what they were.

    Returns:
        The paths that are different now, and why not all of them are; empty where they are.
    """
    for path in (*gone, *changed):
        if not path.isprintable():  # before anything is touched: a trace could not tell it either
            return (), f"nothing was changed: {told(path)} is no name for a file"

    real, before = Root(to), dict[str, Content | None]()
    try:
        for path in gone:  # first, as a file may have become a folder, or a folder a file
            was = real.read(path, limit=MOST_BYTES)
            _remove(folder, to, path)
            before[path] = was

        for path in changed:
            was = real.read(path, limit=MOST_BYTES) if os.path.lexists(to / path) else None
            mode = stat.S_IMODE((folder / path).stat().st_mode) & 0o777
            real.write(path, (folder / path).read_bytes(), limit=MOST_BYTES, mode=mode)
            before[path] = was
    except (ToolError, OSError) as error:
        left = _put_back(real, before)
        told_left = f"; these could not be put back: {', '.join(left)}" if left else ""
        return left, f"{'not everything' if left else 'nothing'} was changed: {error}{told_left}"

    return tuple(sorted(before)), ""


def _remove(folder: Path, to: Path, path: str) -> None:
    """With the folders above it that are then empty, and that the candidate does not have."""
    (to / path).unlink()
    for above in Path(path).parents:
        if (folder / above).is_dir():
            return

        with suppress(OSError):  # something else is in it
            (to / above).rmdir()


def _put_back(real: Root, before: Mapping[str, Content | None]) -> tuple[str, ...]:
    """Those that could not be."""
    left = []
    for path, was in reversed(list(before.items())):
        place = real.folder / path
        try:
            if was is None:
                place.unlink()
                continue

            if place.exists():
                place.chmod(0o600)  # it may be protected now

            real.write(path, was.data, limit=MOST_BYTES, mode=was.mode)
        except (ToolError, OSError):
            left.append(path)

    return tuple(left)
