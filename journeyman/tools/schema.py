"""A tool's own JSON Schema as the check of its arguments; compiled once, at its first call."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from journeyman.errors import ToolError
from journeyman.tools.arguments import misfit, refuse_oversized, unknown
from journeyman.traces.messages import ToolSpec

LARGEST = 64 * 1024
"""Characters of a schema that is offered to a model at all."""


class Schema:
    """Validates arguments against `spec.parameters`. References outside the schema are never fetched."""

    def __init__(self, spec: ToolSpec) -> None:
        self._spec = spec
        self._validator: Any = None

    def parse(self, arguments: str) -> dict[str, JsonValue]:
        """The arguments as an object.

        Raises:
            ToolError: not JSON, not an object, or not what the schema wants.
        """
        refuse_oversized(arguments)
        values = self._object(arguments.strip() or "{}")
        self.check(values)
        return values

    def check(self, values: dict[str, JsonValue]) -> None:
        """Pass or refuse.

        Raises:
            ToolError: it is not what the schema wants.
        """
        if self._validator is None:
            self._validator = compiled(self._spec.parameters)

        from referencing.exceptions import Unresolvable  # noqa: PLC0415

        try:
            problems = list(self._validator.iter_errors(values))
        except (Unresolvable, RecursionError) as error:
            raise ToolError(f"{self._spec.name} cannot be called: its schema is broken: {error}") from error

        if problems:
            raise misfit(self._spec, (self._told(problem) for problem in problems))

    def _object(self, arguments: str) -> dict[str, JsonValue]:
        try:
            values = json.loads(arguments, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise misfit(self._spec, [f"the arguments are not valid JSON: {error}"]) from None

        if not isinstance(values, dict):
            raise misfit(self._spec, ["the arguments must be an object"])

        return values

    def _told(self, problem: Any) -> str:
        where = ".".join(str(part) for part in problem.absolute_path)
        if problem.validator == "required" and isinstance(problem.instance, dict):
            missing = next(name for name in problem.validator_value if name not in problem.instance)
            return f"{f'{where}.' if where else ''}{missing} is missing"

        if problem.validator == "additionalProperties" and not where:
            known = self._spec.parameters.get("properties") or {}
            extra = next((name for name in problem.instance if name not in known), "")
            return unknown(extra, self._spec.parameters)

        message = problem.message if len(problem.message) <= 200 else f"{problem.message[:200]}…"  # noqa: PLR2004
        return f"{where}: {message}" if where else message


def prepare() -> None:
    """Import what the first call needs (0.1 s), while the model is still thinking about it."""
    compiled({})


def compiled(schema: Mapping[str, Any]) -> Any:
    """A validator of the dialect that the schema names, 2020-12 without one."""
    from jsonschema.validators import Draft202012Validator, validator_for  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415

    return validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())


def broken(schema: Mapping[str, Any]) -> str:
    """Why the schema cannot be used, in words; empty if it can."""
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415
    from jsonschema.validators import Draft202012Validator, validator_for  # noqa: PLC0415

    try:
        if (size := len(json.dumps(schema))) > LARGEST:
            return f"its schema is {size:,} characters long"

        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        return f"its schema is not valid: {error.message[:200]}"
    except RecursionError:
        return "its schema is nested too deeply"

    return ""


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")
