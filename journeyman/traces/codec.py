"""Events to rows and back, losslessly: a row is what one commit stores of one run.

Events are written as JSON with everything in them that is not None, so that a default which changes later changes no
stored event; from a kilobyte on it is deflated. Content that repeats or is large is kept apart, under its hash.
"""

import hashlib
import json
import struct
import sys
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, to_json

from journeyman.traces.events import StoredEvent, stored_event
from journeyman.traces.messages import TokenSpan

SHORT = 1024
"""Bytes from which data is deflated."""
HASH = 32
"""Bytes of a SHA-256."""
LONG = 1024
"""Characters from which words of the user are kept as a blob."""
LONG_RESULT = 4096
"""Those of a result: shorter ones are seldom the same, and cost more apart."""

_BLOBS: dict[str, tuple[tuple[tuple[str, ...], int], ...]] = {
    "run_started": (
        (("prompt",), LONG),
        (("instructions",), 1),
        (("model_info",), 1),
        (("tools",), 1),
        (("policy",), 1),
        (("sandbox",), 1),
        (("returns",), 1),
    ),
    "run_resumed": ((("model_info",), 1), (("tools",), 1), (("policy",), 1)),
    "message_added": ((("text",), LONG),),
    "call_finished": ((("result", "text"), LONG_RESULT),),
    "files_kept": ((("files",), 1),),
}
"""Where an event may have `{"$blob": number}` instead of content, and the length from which it has. An object is there
only if it is empty, so nobody's data is ever mistaken for one. The number counts the row's `blobs`."""
_MARK = b'"$blob"'


class Row(NamedTuple):
    """The columns of `schema.event` that hold what happened."""

    seq: int
    at: int
    body: bytes
    blobs: bytes | None
    tokens: bytes | None


class Packed(NamedTuple):
    row: Row
    contents: tuple[tuple[bytes, bytes], ...]
    """What the row names, as rows of `schema.blob`."""


def pack(events: Iterable[tuple[str, int, int, StoredEvent]]) -> Iterator[Packed]:
    """A run's events, each with its run, number and time, as rows: one, or more where several have tokens."""
    batch: list[tuple[int, Any]] = []
    contents: list[bytes] = []
    tokens: bytes | None = None
    first = last = 0
    for _, seq, at, event in events:
        item: Any = event
        if event.type in _BLOBS:
            item = _without_content(event, contents)
        elif event.type == "model_responded" and event.tokens is not None:
            if tokens is not None:
                yield _packed(last, first, batch, contents, tokens)
                batch, contents = [], []

            tokens = pack_spans(event.tokens.spans)
            item = event.model_copy(update={"tokens": event.tokens.model_copy(update={"spans": ()})})

        if not batch:
            first = at

        batch.append((at - first, item))
        last = seq

    if batch:
        yield _packed(last, first, batch, contents, tokens)


def _packed(seq: int, at: int, batch: list[tuple[int, Any]], contents: list[bytes], tokens: bytes | None) -> Packed:
    try:
        body = to_json(batch, exclude_none=True)
    except PydanticSerializationError:  # half a surrogate pair, which is no text
        body = _json([(after, _plain(item)) for after, item in batch]).encode()

    body = compress(body)
    if not contents:
        return Packed(Row(seq, at, body, None, tokens), ())

    blobs = tuple(_kept(data) for data in contents)
    return Packed(Row(seq, at, body, b"".join(key for key, _ in blobs), tokens), blobs)


@lru_cache(64)
def _kept(data: bytes) -> tuple[bytes, bytes]:
    """A row of `schema.blob`; one agent's runs begin with the same ones."""
    return content_hash(data), compress(data)


def unpack(row: Row, blob: Callable[[bytes], bytes]) -> list[tuple[int, int, StoredEvent]]:
    """The events of a row, each with its number and time; `blob` gives the data kept under a hash.

    Raises:
        ValueError, zlib.error: it is not what `pack` made.
    """
    body = decompress(row.body)
    if row.blobs is None or _MARK not in body:
        events = _batch().validate_json(body)
    else:
        named = hashes(row.blobs)
        events = [(at, _with_content(event, named, blob)) for at, event in json.loads(body)]

    if not events:
        raise ValueError("a row without events")

    first = row.seq - len(events) + 1
    found = [(first + n, row.at + at, event) for n, (at, event) in enumerate(events)]
    return found if row.tokens is None else [(seq, at, _with_spans(e, row.tokens)) for seq, at, e in found]


def hashes(blobs: bytes | None) -> list[bytes]:
    """The hashes that a row names."""
    return [blobs[at : at + HASH] for at in range(0, len(blobs), HASH)] if blobs else []


def content_hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@cache
def _batch() -> TypeAdapter[list[tuple[int, StoredEvent]]]:
    return TypeAdapter(list[tuple[int, StoredEvent]])


def _without_content(event: StoredEvent, contents: list[bytes]) -> Any:
    """The event as it is, or as data with its long content moved to `contents`."""
    paths = [path for path, least in _BLOBS[event.type] if len(_value(event, path) or ()) >= least]
    if not paths:
        return event

    data = _plain(event)
    for path in paths:
        holder, name = _holder(data, path)
        contents.append(_json(holder[name]).encode())
        holder[name] = {"$blob": len(contents) - 1}

    return data


def _plain(item: Any) -> Any:
    return item if isinstance(item, dict) else item.model_dump(exclude_none=True)


def _value(event: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        event = getattr(event, name)

    return event


def _holder(data: Any, path: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    *parents, name = path
    for parent in parents:
        data = data[parent]

    return data, name


def _with_content(data: dict[str, Any], named: Sequence[bytes], blob: Callable[[bytes], bytes]) -> StoredEvent:
    for path, _ in _BLOBS.get(data["type"], ()):
        holder, name = _holder(data, path)
        if isinstance(value := holder.get(name), dict) and isinstance(number := value.get("$blob"), int):
            holder[name] = json.loads(decompress(blob(named[number])))

    return stored_event.validate_python(data)


def _with_spans(event: StoredEvent, tokens: bytes) -> StoredEvent:
    if event.type != "model_responded" or event.tokens is None:
        return event

    spans = tuple(TokenSpan.model_validate(span) for span in unpack_spans(tokens))
    return event.model_copy(update={"tokens": event.tokens.model_copy(update={"spans": spans})})


_DEFLATED = b"\0"
"""No JSON begins so."""


def compress(data: bytes) -> bytes:
    """As it is where it is short JSON, which then can be read with SQL; else a zero and the deflated data."""
    if len(data) < SHORT and not data.startswith(_DEFLATED):
        return data

    return _DEFLATED + zlib.compress(data, 1, -zlib.MAX_WBITS)


def decompress(data: bytes) -> bytes:
    return zlib.decompress(data[1:], -zlib.MAX_WBITS) if data.startswith(_DEFLATED) else data


def _json(value: Any) -> str:
    """Compact JSON, with what UTF-8 cannot say replaced by U+FFFD."""
    return _whole(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def sound(text: str) -> str:
    """The text as every database takes it: NUL and half a surrogate pair become U+FFFD."""
    return _whole(text).replace("\0", "\ufffd")


def _whole(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_KINDS = ("context", "sampled", "forced")
_HEAD = struct.Struct("<BBI")
_NO_LOGPROB = float("nan")


def pack_spans(spans: tuple[TokenSpan, ...]) -> bytes:
    """Each span: kind and has-logprobs (uint8 each), count (uint32), ids (int32), logprobs (float32, NaN = none)."""
    pieces = []
    for span in spans:
        has_logprobs = span.logprobs is not None
        pieces += [_HEAD.pack(_KINDS.index(span.kind), has_logprobs, len(span.ids)), _little(array("i", span.ids))]
        if span.logprobs is not None:
            pieces.append(_little(array("f", [_NO_LOGPROB if p is None else p for p in span.logprobs])))

    return b"".join(pieces)


def unpack_spans(data: bytes) -> list[dict[str, Any]]:
    spans = []
    at = 0
    while at < len(data):
        kind, has_logprobs, count = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        span: dict[str, Any] = {"kind": _KINDS[kind], "ids": _numbers("i", data[at : at + 4 * count])}
        at += 4 * count
        if has_logprobs:
            values = _numbers("f", data[at : at + 4 * count])
            span["logprobs"] = [None if value != value else value for value in values]  # noqa: PLR0124 - NaN
            at += 4 * count

        spans.append(span)

    return spans


def _little(values: array) -> bytes:
    if sys.byteorder == "big":
        values.byteswap()

    return values.tobytes()


def _numbers(code: str, data: bytes) -> list[Any]:
    values = array(code, data)
    if sys.byteorder == "big":
        values.byteswap()

    return values.tolist()
