"""Practice with a hint: the task's own order of tools, while the model chooses every argument and the answer.

An untrained small model hardly ever gets a task right by itself, so there is nothing to learn from. With the order
given, some attempts come out right, and those are imitated without the hint. The hint is recorded in the run
(`model_info`), and its tokens are drawn under a grammar: good to imitate, not to reinforce.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from pydantic import JsonValue

from journeyman.agent.models.model import Capabilities, Model, Request
from journeyman.traces.events import ModelDelta, ModelResponded
from journeyman.training.play import PLAN
from journeyman.training.tasks import Task


@dataclass(frozen=True, slots=True)
class Guided:
    """A model that is told which tool comes next."""

    model: Model
    task: Task

    @property
    def spec(self) -> str:
        return self.model.spec

    @property
    def capabilities(self) -> Capabilities:
        return self.model.capabilities

    async def open(self) -> Mapping[str, JsonValue]:
        return {**await self.model.open(), "hint": [*self._order]}

    @property
    def _order(self) -> list[str]:
        return [step.tool for step in self.task.oracle if step.tool != PLAN]

    async def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded]:
        order, at = self._order, request.step - 1
        choice = "required" if at < len(order) else "none"
        offered = frozenset(order[at : at + 1]) if choice == "required" else None
        guided = replace(request, choice=choice, offered=offered)
        async with aclosing(self.model.respond(guided)) as stream:
            async for item in stream:
                yield item

    def forget(self, run_id: str) -> None:
        self.model.forget(run_id)

    async def close(self) -> None:
        await self.model.close()
