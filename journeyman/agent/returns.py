"""Whether an answer is what its caller wants back: JSON that matches a schema."""

import json
from collections.abc import Mapping
from typing import Any

from journeyman.agent.run import Check
from journeyman.errors import UsageError


def fits(schema: Mapping[str, Any]) -> Check:
    """A check of answers against a JSON Schema.

    Raises:
        UsageError: it is no JSON Schema.
    """
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415 - only typed answers need it

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise UsageError(f"The answer's schema is no JSON Schema: {error.message}.", fix="Mend the schema.") from error

    validator = Draft202012Validator(schema)

    def check(answer: str) -> str | None:
        try:
            value = json.loads(answer)
        except ValueError as error:
            return f"Your answer must be JSON alone, and it is not: {error}."

        wrong = next(iter(validator.iter_errors(value)), None)
        return f"Your answer does not match the schema: {wrong.message}." if wrong else None

    return check
