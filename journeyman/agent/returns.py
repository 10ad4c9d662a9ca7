"""Whether an answer is what its caller wants back: JSON that matches a schema."""

import json
from collections.abc import Mapping
from typing import Any

from journeyman.agent.run import Check
from journeyman.errors import UsageError

SHOWN = 2000
"""Characters of a schema that a model is reminded of."""


def fits(schema: Mapping[str, Any]) -> Check:
    """A check of answers against a JSON Schema. Nothing that the schema refers to is fetched.

    Raises:
        UsageError: it is no JSON Schema.
    """
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415 - only typed answers need it
    from referencing import Registry  # noqa: PLC0415
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise UsageError(f"The answer's schema is no JSON Schema: {error.message}.", fix="Mend the schema.") from error

    validator = Draft202012Validator(schema, registry=Registry())
    wanted = f"It must be JSON that matches {json.dumps(schema)[:SHOWN]}"

    def check(answer: str) -> str | None:
        try:
            wrong = next(iter(validator.iter_errors(json.loads(answer))), None)
        except ValueError as error:
            return f"Your answer is not JSON: {error}. {wanted}."
        except Unresolvable as error:
            message = f"The answer's schema refers to {error.ref!r}, which is not in it."
            raise UsageError(message, fix="Put it under $defs.") from error

        return f"Your answer does not match: {wrong.message}. {wanted}." if wrong else None

    return check
