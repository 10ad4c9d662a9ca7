"""The agent's explicit plan: a tool that writes nothing but the plan itself.

For work of several steps the model keeps a list of them and says how many are done; each change is a `plan_updated`
event, so that a person sees where the run is and a trainer sees what was intended.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from journeyman.errors import ToolError
from journeyman.tools.tool import Output, Report
from journeyman.traces.events import PlanStep, PlanUpdated
from journeyman.traces.messages import ToolSpec

SPEC = ToolSpec(
    name="update_plan",
    server="agent",
    tool="update_plan",
    description="Plan work of several steps.",
    parameters={
        "type": "object",
        "properties": {
            "steps": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 20},
            "done": {"type": "integer", "minimum": 0},
        },
        "required": ["steps", "done"],
        "additionalProperties": False,
    },
    read_only=True,
    idempotent=True,
)


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    steps: list[str] = Field(min_length=1, max_length=20)
    done: int = Field(0, ge=0)
    """How many of the steps, from the first, are finished."""


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    updated: Callable[[PlanUpdated], object]
    spec: ToolSpec = SPEC

    def parse(self, arguments: str) -> dict[str, JsonValue]:
        try:
            return _Arguments.model_validate_json(arguments).model_dump()
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ToolError(f"{where}: {first['msg']}; update_plan takes steps (a list of texts) and done") from error

    async def call(self, arguments: dict[str, JsonValue], report: Report) -> Output:  # noqa: ARG002 - done at once
        plan = _Arguments.model_validate(arguments)
        self.updated(PlanUpdated(steps=tuple(_step(text, n, plan.done) for n, text in enumerate(plan.steps))))
        return Output("ok")


def _step(text: str, position: int, done: int) -> PlanStep:
    status = "done" if position < done else "active" if position == done else "pending"
    return PlanStep(text=text, status=status)
