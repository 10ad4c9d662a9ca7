"""A call's result as records of fields, and any value as its leaves."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import JsonValue

from journeyman.policies.labels import Record

Row = list[tuple[str, Any]]
"""Fields of one record by their path below it."""


def leaves(value: JsonValue, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every text, number and key of a value, with its path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            path = f"{key}.{name}" if key else name
            if "@" in name:  # an address may be the key: who shares a file
                yield path, name

            yield from leaves(inner, path)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner, key)
    else:
        yield key, value


def rows(data: JsonValue, record: Record) -> Iterator[Row]:
    """The records in a result; what is in none is a row of its own."""
    if isinstance(data, dict) and not (record.id and record.id not in data and _holds_rows(data)):
        yield list(leaves(data))
    elif isinstance(data, dict | list):
        for inner in data.values() if isinstance(data, dict) else data:
            yield from rows(inner, record)
    else:
        yield [("", data)]


def _holds_rows(data: dict[str, JsonValue]) -> bool:
    return any(isinstance(inner, dict | list) for inner in data.values())


def parsed(text: str) -> JsonValue:
    if text[:1] in {"{", "["}:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text

    return text


def is_own(record: Record, row: Row) -> bool:
    fields = dict(row)
    return all(fields.get(key) == value for key, value in record.own.items())
