"""What tests of the loop are made of: a scripted model, real functions as tools, a recorder that remembers."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from journeyman.agent.budget import Limits
from journeyman.agent.models.model import Request
from journeyman.agent.models.scripted import ScriptedModel
from journeyman.agent.order import Order, Result
from journeyman.agent.session import Crew, execute
from journeyman.policies.policy import Policy
from journeyman.tools.function import tool
from journeyman.tools.tool import Tool
from journeyman.traces.events import ModelDelta, ModelResponded, StoredEvent
from journeyman.traces.messages import ToolSpec


@tool(read_only=True)
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Memory:
    """A recorder that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[StoredEvent] = []
        self.committed = 0

    def record(self, event: StoredEvent) -> None:
        self.events.append(event)

    async def barrier(self) -> None:
        self.committed = len(self.events)

    def types(self) -> list[str]:
        return [event.type for event in self.events]


class FinishingModel(ScriptedModel):
    """Answers each request with the response that a function makes of it."""

    def __init__(self, answer: Callable[[Request], ModelResponded]) -> None:
        super().__init__([])
        self._answer = answer

    async def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded, None]:
        yield self._answer(request)


@dataclass
class Box:
    tools: dict[str, Tool]
    specs: Sequence[ToolSpec] = field(init=False)

    def __post_init__(self) -> None:
        self.specs = tuple(each.spec for each in self.tools.values())

    def find(self, name: str) -> Tool | None:
        return self.tools.get(name)

    def suggest(self, name: str) -> str:
        return f"there is no tool {name!r}; there is {', '.join(self.tools)}"


def crew(script: Any, *tools: Any, memory: Memory | None = None, **more: Any) -> Crew:
    model = script if isinstance(script, ScriptedModel) else ScriptedModel(script)
    offered = tools or (add,)
    return Crew(
        model=model,
        toolbox=Box({each.spec.name: each for each in offered}),
        policy=more.pop("policy", Policy.preset("ask")),
        recorder=memory or Memory(),
        run_id="run",
        **more,
    )


async def run(script: Any, *tools: Any, memory: Memory | None = None, **order: Any) -> Result:
    crew_fields = {key: order.pop(key) for key in ("policy", "approver", "listeners") if key in order}
    steps = order.pop("steps", None)
    limits = Limits(steps=steps) if steps else order.pop("limits", Limits())
    order.setdefault("plan", False)
    who = crew(script, *tools, memory=memory, **crew_fields)
    return await execute(Order(prompt="2+3?", limits=limits, **order), who)


def call(name: str = "add", **arguments: Any) -> dict[str, Any]:
    return {"tool": name, "arguments": arguments}
