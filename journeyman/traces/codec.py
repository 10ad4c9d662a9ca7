"""Events to rows and back, losslessly: `decode(encode(event)) == event`."""

import hashlib
import json
import struct
import sys
from array import array
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

from pydantic_core import PydanticSerializationError

from journeyman.traces.events import ModelResponded, StoredEvent
from journeyman.traces.messages import TokenSpan

LONG_TEXT = 4096
"""Characters from which a result's text is kept as a blob."""

CLASSES: dict[str, type[StoredEvent]] = {
    kind.model_fields["type"].default: kind for kind in get_args(get_args(StoredEvent)[0])
}


class Row(NamedTuple):
    type: str
    body: str
    tokens: bytes | None
    blobs: tuple[tuple[str, bytes], ...]


def encode(event: StoredEvent) -> Row:
    if event.type == "model_responded":
        tokens = pack_spans(event.tokens.spans) if event.tokens is not None else None
        return Row(event.type, _body(event, _leave_out(event), head=_HEAD_OF_RESPONSE), tokens, ())

    long = event.type == "call_finished" and len(event.result.text) >= LONG_TEXT
    if long or event.type in {"run_started", "run_resumed"}:
        return _with_blobs(event)

    return Row(event.type, _body(event, None, lean=True), None, ())


_HEAD_OF_RESPONSE = len('{"type":"model_responded",')
_SPANS = {"tokens": {"spans": True}}
_USUAL = {"finish": True, "usage": {"cached_tokens": True, "reasoning_tokens": True}}


def _leave_out(event: ModelResponded) -> dict[str, Any]:
    usage = event.usage
    usual = event.finish == "stop" and not usage.cached_tokens and not usage.reasoning_tokens
    return _SPANS | _USUAL if usual else _SPANS


def _body(event: StoredEvent, exclude: dict[str, Any] | None, *, lean: bool = False, head: int = 0) -> str:
    """The event as JSON without its type, which is a column of its own and every event's first field.

    `lean` leaves out all that has its default; not where a part's type says what it is, which is such a default.
    """
    try:
        text = event.__pydantic_serializer__.to_json(
            event, exclude=exclude, exclude_none=not lean, exclude_defaults=lean
        ).decode()
    except PydanticSerializationError:  # half a surrogate pair, which is no text
        text = _json(event.model_dump(exclude=exclude, exclude_none=not lean, exclude_defaults=lean))

    return "{" + text[head:] if head else text


def decode(kind: str, body: str, tokens: bytes | None, blob: Callable[[str], bytes]) -> StoredEvent:
    """The event of a row; `blob` gives the bytes kept under a hash."""
    if tokens is None and kind not in _BLOBS:
        return CLASSES[kind].model_validate_json(body)

    data = json.loads(body)
    if tokens is not None:
        data["tokens"]["spans"] = unpack_spans(tokens)

    for path in _BLOBS.get(kind, ()):
        holder, name = _holder(data, path)
        if isinstance(holder[name], dict) and "$blob" in holder[name]:
            holder[name] = json.loads(blob(holder[name]["$blob"]))

    return CLASSES[kind].model_validate(data)


def content_hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


_BLOBS = {
    "run_started": (("tools",), ("instructions",), ("model_info",)),
    "run_resumed": (("tools",), ("model_info",)),
    "call_finished": (("result", "text"),),
}
"""Where a body may hold `{"$blob": hash}`: only here, so that nobody's data is ever mistaken for one."""
MAY_NAME_BLOBS = frozenset(_BLOBS)


def blobs_of(kind: str, body: str) -> list[str]:
    """The hashes of the content that a body names."""
    if kind not in _BLOBS or '"$blob"' not in body:
        return []

    data = json.loads(body)
    found = [holder.get(name) for holder, name in (_holder(data, path) for path in _BLOBS[kind])]
    return [value["$blob"] for value in found if isinstance(value, dict) and "$blob" in value]


def _with_blobs(event: StoredEvent) -> Row:
    lean = event.type == "call_finished"
    body = event.model_dump(exclude={"type"}, exclude_none=not lean, exclude_defaults=lean)
    blobs = []
    for path in _BLOBS[event.type]:
        holder, name = _holder(body, path)
        data = _json(holder[name]).encode()
        blobs.append((content_hash(data), data))
        holder[name] = {"$blob": blobs[-1][0]}

    return Row(event.type, _json(body), None, tuple(blobs))


def _holder(body: Any, path: tuple[str, ...]) -> tuple[Any, str]:
    *parents, name = path
    for parent in parents:
        body = body[parent]

    return body, name


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
