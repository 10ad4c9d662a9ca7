"""The words in which a model is told what a call's arguments should have been."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

from pydantic import JsonValue

from journeyman.errors import ToolError
from journeyman.traces.messages import ToolSpec

MOST = 1_000_000
"""Characters of arguments that are read at all."""
SHOWN = 3
"""Problems told at once; a model mends one or two at a time."""


def misfit(spec: ToolSpec, problems: Iterable[str]) -> ToolError:
    """What is wrong, and what would fit."""
    told = list(problems)
    more = f"; and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return ToolError(f"{'; '.join(told[:SHOWN])}{more}. It is called as {spec.name}({shape(spec.parameters)})")


def unknown(name: str, parameters: Mapping[str, Any]) -> str:
    near = get_close_matches(name, parameters.get("properties") or {}, n=1)
    return f"there is no argument {name!r}" + (f" (did you mean {near[0]!r}?)" if near else "")


def refuse_oversized(arguments: str) -> None:
    if len(arguments) > MOST:
        raise ToolError(f"the arguments are {len(arguments):,} characters long; at most {MOST:,} are read")


def refuse_twins(arguments: str) -> None:
    """One name with two values: who decides and who does it may each read another one."""
    refuse_oversized(arguments)
    with suppress(ValueError, RecursionError):  # whoever parses it says what is wrong
        _told_apart(arguments)


def _apart(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    values = dict(pairs)
    if len(values) < len(pairs):
        name = next(name for at, (name, _) in enumerate(pairs) if name in {before for before, _ in pairs[:at]})
        raise ToolError(f"the arguments have {name!r} twice; give it one value")

    return values


_told_apart = json.JSONDecoder(object_pairs_hook=_apart).decode


def shape(parameters: Mapping[str, Any]) -> str:
    """`a: integer, b?: string`: the arguments of a JSON Schema on one line."""
    required = parameters.get("required") or []
    return ", ".join(
        f"{name}{'' if name in required else '?'}: {_type(schema)}"
        for name, schema in (parameters.get("properties") or {}).items()
    )


def _type(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "any"

    if options := schema.get("enum"):
        return "|".join(json.dumps(option, ensure_ascii=False) for option in options)

    if variants := schema.get("anyOf") or schema.get("oneOf"):
        return "|".join(_type(variant) for variant in variants if variant != {"type": "null"})

    match schema.get("type"):
        case "array":
            return f"list[{_type(schema.get('items') or {})}]"
        case str() as name:
            inside = shape(schema) if name == "object" else ""
            return f"{{{inside}}}" if inside else name
        case _:
            return "any"
