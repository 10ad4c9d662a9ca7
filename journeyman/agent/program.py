"""The agent's own tool for many calls at once: the model writes one program, and the program calls the other tools.

It runs in Monty, which knows no files, network or programs: all it can do to the world is to call a tool. Each of these
calls passes the run's policy, may be asked about, and stands in the trace, as if the model had made it; only its result
goes to the program and not to the model.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from journeyman.errors import SandboxError, ToolError
from journeyman.sandbox.monty import run_program
from journeyman.tools.door import Door, current
from journeyman.tools.schema import Schema
from journeyman.tools.tool import Output, Report
from journeyman.traces.messages import ToolSpec

SPEC = ToolSpec(
    name="run_program",
    server="agent",
    tool="run_program",
    description=(
        "Run a Python program that calls the other tools as functions, by name and with keyword arguments."
        " A call returns the tool's data, or else its text, and raises RuntimeError where the tool fails."
        " What is printed, and the value of the last expression, is the result."
    ),
    parameters={
        "type": "object",
        "properties": {"code": {"type": "string", "maxLength": 100_000}},
        "required": ["code"],
        "additionalProperties": False,
    },
)


@dataclass(frozen=True, slots=True)
class RunProgram:
    others: Sequence[ToolSpec]
    """What a program may call."""
    spec: ToolSpec = SPEC
    _schema: Schema = field(default_factory=lambda: Schema(SPEC))

    def parse(self, arguments: str) -> dict[str, JsonValue]:
        return self._schema.parse(arguments)

    async def call(self, arguments: dict[str, JsonValue], report: Report) -> Output:  # noqa: ARG002 - its calls tell
        self._schema.check(arguments)  # a person may have edited them
        names = {spec.name.replace("-", "_"): spec for spec in self.others}
        door = current()

        async def call(name: str, positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
            return await _through(door, names[name], positional, named)

        try:
            done = await run_program(str(arguments["code"]), names, call)
        except SandboxError as error:
            raise ToolError(f"{error}; {error.fix}") from error

        last = done.value if done.status == "ok" else done.error or done.status
        pieces = (done.stdout.rstrip("\n"), done.stderr.rstrip("\n"), last or "")
        return Output("\n".join(filter(None, pieces)) or "(no output)", is_error=done.status != "ok")


async def _through(door: Door, spec: ToolSpec, positional: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """One call of a program's: its value, or the exception it is to raise there."""
    order = list(spec.parameters.get("properties") or {})
    if len(positional) > len(order):
        return {"exception": TypeError(f"{spec.name} takes {', '.join(order) or 'no arguments'}")}

    try:
        text = json.dumps(dict(zip(order, positional, strict=False)) | named)
        output = await door(spec.name, text)
    except (ToolError, TypeError, ValueError) as error:
        return {"exception": RuntimeError(str(error))}

    if output.is_error:
        return {"exception": RuntimeError(output.text)}

    return {"return_value": output.text if output.data is None else output.data}
