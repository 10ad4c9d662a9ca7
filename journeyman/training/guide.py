"""Practice with a hint: the task's own order of tools, while the model chooses every argument and the answer.

An untrained small model hardly ever gets a task right by itself, so there is nothing to learn from. With the order
given, some attempts come out right, and those are imitated without the hint. The hint is recorded in the run
(`model_info`), and its tokens are drawn under a grammar: good to imitate, not to reinforce.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace

from pydantic import JsonValue

from journeyman.agent.models.model import Model, Request
from journeyman.agent.models.wrapped import Wrapped
from journeyman.traces.events import ModelDelta, ModelResponded
from journeyman.training.play import PLAN
from journeyman.training.tasks import Task


class Guided(Wrapped):
    """A model that is told which tool comes next."""

    def __init__(self, model: Model, task: Task) -> None:
        super().__init__(model)
        self._order = [step.tool for step in task.oracle if step.tool != PLAN]

    async def open(self) -> Mapping[str, JsonValue]:
        return {**await super().open(), "hint": [*self._order]}

    async def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded]:
        order, at = self._order, request.step - 1
        choice = "required" if at < len(order) else "none"
        offered = frozenset(order[at : at + 1]) if choice == "required" else None
        guided = replace(request, choice=choice, offered=offered)
        async with aclosing(self.model.respond(guided)) as stream:
            async for item in stream:
                yield item
