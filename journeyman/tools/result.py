"""What a tool returned, as a model may read it: text that can be stored, and not too much of it."""

from typing import Any

from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from journeyman.errors import ToolError
from journeyman.tools.tool import Output

LIMIT = 64 * 1024
"""Bytes of text a result may have; a model's window holds less."""


def output(value: Any) -> Output:
    """Text as it is, everything else as JSON.

    Raises:
        ToolError: the value has no JSON form.
    """
    if isinstance(value, str):
        return Output(capped(value))

    if isinstance(value, Output):
        return value

    try:
        text = to_json(value).decode()
        data = value if value is None or isinstance(value, (bool, int)) else to_jsonable_python(value)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise ToolError(
            f"the tool returned a {type(value).__name__}, which cannot be written as JSON: {error}"
        ) from error

    return Output(capped(text), data if len(text) <= LIMIT else None)


def capped(text: str, limit: int = LIMIT) -> str:
    """At most `limit` bytes of UTF-8, then a note of how much was left out; unpaired surrogates are spelled out."""
    if len(text) <= limit and text.isascii():
        return text

    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= limit:
        return data.decode()

    return f"{data[:limit].decode(errors='ignore')}\n[{len(data) - limit:,} of {len(data):,} bytes left out]"
