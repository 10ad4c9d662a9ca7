"""Frames: how host, supervisor and worker speak. A JSON header of a few fields, then bytes.

    4 bytes length of the header, 4 bytes length of the body (both big-endian), header, body

The reader takes every byte as hostile: lengths are checked against its own bounds before anything is kept, and what is
not a JSON object is refused. Only the standard library: this runs inside the sandbox too.
"""

import json
import struct
from typing import Any

HEADER_MAX = 256 * 1024
_LENGTHS = struct.Struct(">II")
_read = json.JSONDecoder().decode
_written = json.JSONEncoder(separators=(",", ":")).encode
Frame = tuple[dict[str, Any], bytes]


class Malformed(Exception):
    """The other side does not speak this protocol; nothing after it can be believed."""


def pack(header: dict[str, Any], body: bytes = b"") -> bytes:
    text = _written(header).encode()
    return b"".join((_LENGTHS.pack(len(text), len(body)), text, body))


class Reader:
    """Takes bytes as they come and gives whole frames.

    Raises:
        Malformed: a header or body longer than its bound, or a header that is no JSON object.
    """

    def __init__(self, body_max: int, header_max: int = HEADER_MAX) -> None:
        self.body_max = body_max
        self._header_max = header_max
        self._waiting = bytearray()

    def __bool__(self) -> bool:
        """Whether bytes wait that are no whole frame yet."""
        return bool(self._waiting)

    def feed(self, data: bytes) -> Frame | None:
        """The next frame, if these bytes complete one; call it with b"" for those behind it."""
        waiting = self._waiting
        waiting += data
        if len(waiting) < _LENGTHS.size:
            return None

        header_size, body_size = _LENGTHS.unpack_from(waiting)
        if header_size > self._header_max or body_size > self.body_max:
            raise Malformed(f"a frame of {header_size} + {body_size} bytes")

        end = _LENGTHS.size + header_size + body_size
        if len(waiting) < end:
            return None

        header = _object(bytes(waiting[_LENGTHS.size : _LENGTHS.size + header_size]))
        body = bytes(waiting[_LENGTHS.size + header_size : end])
        del waiting[:end]
        return header, body


def _object(text: bytes) -> dict[str, Any]:
    try:
        header = _read(text.decode())
    except (ValueError, RecursionError):
        raise Malformed("a header that is no JSON") from None

    if not isinstance(header, dict):
        raise Malformed("a header that is no JSON object")

    return header


def split(header: dict[str, Any], body: bytes, kinds: frozenset[str]) -> list[tuple[str, bytes]]:
    """The body's pieces, as `parts` in the header ([[kind, length], ...]) tells them.

    Raises:
        Malformed: a kind that is not expected, or lengths that are not the body's.
    """
    parts = header.get("parts", [])
    if not isinstance(parts, list) or not all(_is_part(part, kinds) for part in parts):
        raise Malformed("parts that are none")

    if sum(size for _, size in parts) != len(body):
        raise Malformed("parts that are not as long as they say")

    pieces, at = [], 0
    for kind, size in parts:
        pieces.append((kind, body[at : at + size]))
        at += size

    return pieces


def joined(header: dict[str, Any], pieces: list[tuple[str, bytes]]) -> bytes:
    """The frame that `split` takes apart."""
    parts = [[kind, len(data)] for kind, data in pieces]
    return pack({**header, "parts": parts}, b"".join(data for _, data in pieces))


def _is_part(part: object, kinds: frozenset[str]) -> bool:
    if not isinstance(part, list) or len(part) != 2:  # noqa: PLR2004 - a kind and a length
        return False

    kind, size = part
    return isinstance(kind, str) and kind in kinds and type(size) is int and size >= 0
