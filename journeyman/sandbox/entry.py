"""What stands in a confined folder, and what was read of it."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["file", "folder", "link", "other"]
Stamp = tuple[int, int, int]
"""Changes when the content does: modification time, change time (both ns) and inode."""


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    """As the system gives it; bytes that are no UTF-8 are surrogates (`told` makes them safe to show)."""
    kind: Kind
    size: int
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Content:
    data: bytes
    mode: int
    stamp: Stamp
