"""A tool's own JSON Schema as the check of its arguments: what is cheap to check and what small models get wrong.

Only names, primitive types and enumerations at the top level are looked at. A schema comes from a stranger, and its
patterns and references can take for ever; whatever else it says, its server checks for itself.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import JsonValue
from pydantic_core import from_json

from journeyman.tools.arguments import misfit, refuse_oversized, unknown
from journeyman.traces.messages import ToolSpec

LARGEST = 64 * 1024
"""Characters of a schema that is offered to a model at all."""
DEEPEST = 40
SHOWN = 200
"""Characters of a value that does not fit."""
TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
SHAPES = {
    "$schema": str,
    "properties": dict,
    "$defs": dict,
    "required": list,
    "enum": list,
    "anyOf": list,
    "oneOf": list,
}


class Schema:
    """Checks arguments against `spec.parameters`."""

    def __init__(self, spec: ToolSpec) -> None:
        self._spec = spec

    def parse(self, arguments: str) -> dict[str, JsonValue]:
        """The arguments as an object.

        Raises:
            ToolError: not JSON, not an object, or not what the schema wants.
        """
        refuse_oversized(arguments)
        try:
            values = from_json((arguments.strip() or "{}").encode(), allow_inf_nan=False)
        except ValueError as error:  # unpaired surrogates too
            raise misfit(self._spec, [f"the arguments are not valid JSON: {error}"]) from None

        if not isinstance(values, dict):
            raise misfit(self._spec, ["the arguments must be an object"])

        self.check(values)
        return values

    def check(self, values: dict[str, JsonValue]) -> None:
        """Pass or refuse.

        Raises:
            ToolError: it is not what the schema wants.
        """
        if problems := list(_problems(self._spec.parameters, values)):
            raise misfit(self._spec, problems)


def _problems(schema: Mapping[str, Any], values: dict[str, JsonValue]) -> Iterator[str]:
    properties = schema.get("properties", {})
    yield from (f"{name} is missing" for name in schema.get("required", ()) if name not in values)
    closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    for name, value in values.items():
        if name in properties:
            yield from _misfits(name, properties[name], value)
        elif closed:
            yield unknown(name, schema)


def _misfits(name: str, schema: Any, value: JsonValue) -> Iterator[str]:
    if isinstance(schema, bool):
        return

    shown = repr(value) if len(repr(value)) <= SHOWN else f"{repr(value)[:SHOWN]}…"
    types = _listed(schema.get("type", ()))
    if types and not any(_is(value, each) for each in types):
        yield f"{name}: {shown} is not of type {' or '.join(map(repr, types))}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{name}: {shown} is not one of {schema['enum']}"


def _is(value: JsonValue, name: str) -> bool:
    whole = name == "integer" and isinstance(value, float) and value.is_integer()
    return whole or (isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool)))


def _listed(types: Any) -> list[Any]:
    return [types] if isinstance(types, str) else list(types)


def broken(schema: Mapping[str, Any]) -> str:
    """Why the schema cannot be used, in words; empty if it can."""
    if _is_deep(schema, DEEPEST):
        return "its schema is nested too deeply"

    if (size := len(json.dumps(schema))) > LARGEST:
        return f"its schema is {size:,} characters long"

    problem = next(_mistakes(schema), "")
    return f"its schema is not valid: {problem[:SHOWN]}" if problem else ""


def _is_deep(node: Any, left: int) -> bool:
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return left < 0 or any(_is_deep(each, left - 1) for each in inner)


def _mistakes(schema: Any) -> Iterator[str]:
    """What whoever reads a schema, a grammar or a provider, would stumble over."""
    if not isinstance(schema, dict):
        yield from () if isinstance(schema, bool) else (f"{schema!r} is no schema",)
        return

    wrong = [
        f"{key} is no {kind.__name__}" for key, kind in SHAPES.items() if not isinstance(schema.get(key, kind()), kind)
    ]
    types = schema.get("type", [])
    if not isinstance(types, str | list) or not all(isinstance(each, str) and each in TYPES for each in _listed(types)):
        wrong.append(f"there is no type {types!r}")

    yield from wrong
    if wrong:
        return

    yield from (f"{name!r} is no name" for name in schema.get("required", ()) if not isinstance(name, str))
    inner = [each for key in ("properties", "$defs") for each in schema.get(key, {}).values()]
    inner += [each for key in ("anyOf", "oneOf") for each in schema.get(key, ())]
    for each in [*inner, schema.get("items", True)]:
        yield from _mistakes(each)
