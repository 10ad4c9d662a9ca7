"""Does the answer, read as JSON, fit a JSON Schema; and is it the expected value, where one is named."""

import json
from typing import Any

from journeyman.verifiers.case import Case
from journeyman.verifiers.check import verifier
from journeyman.verifiers.score import Score, short

_NOTHING = object()


@verifier("schema/1")
def schema(case: Case, *, schema: dict[str, Any] | None = None, expected: Any = _NOTHING) -> Score:
    """An answer that is no JSON is wrong; a fence of backticks around it is not counted against it."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - takes a while to load

    text = (case.answer or "").strip()
    text = text.removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        value = json.loads(text)
    except ValueError as error:
        return Score.of(0, f"no JSON: {error}")

    for fault in Draft202012Validator(schema or {}).iter_errors(value):
        return Score.of(0, f"{fault.json_path}: {fault.message[:200]}")

    if expected is not _NOTHING and value != expected:
        return Score.of(0, f"{short(json.dumps(value))} is not {short(json.dumps(expected))}")

    return Score.of(1, "fits")
