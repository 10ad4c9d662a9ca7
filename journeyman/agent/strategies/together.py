"""A model for runs that begin alike: their first question is asked once for all of them, and its prompt read once.

It waits until all have asked. Where they do not ask the same, or the model cannot answer a group, each is asked alone.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import anyio

from journeyman.agent.models.model import Model, Request
from journeyman.agent.models.wrapped import Wrapped
from journeyman.errors import ModelError
from journeyman.traces.events import ModelDelta, ModelResponded


class Together(Wrapped):
    """`model`, for `n` runs that are under way at once."""

    def __init__(self, model: Model, n: int) -> None:
        super().__init__(model)
        self._n = n
        self._asked: list[Request] = []
        self._all = anyio.Event()
        self._answers: dict[str, ModelResponded] = {}
        self._failed: ModelError | None = None

    @staticmethod
    def can(model: Model, n: int) -> bool:
        return n > 1 and hasattr(model, "respond_group") and model.capabilities.parallel >= n

    async def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded, None]:
        """As `Model.respond`; the first of each run comes with those of the others."""
        answer = await self._with_others(request) if request.step == 1 else None
        if answer is not None:
            yield answer
            return

        async with aclosing(self.model.respond(request)) as stream:
            async for item in stream:
                yield item

    async def _with_others(self, request: Request) -> ModelResponded | None:
        self._asked.append(request)
        if len(self._asked) == self._n:
            try:
                await self._ask()
            except ModelError as error:
                self._failed = error
            finally:
                self._all.set()

        await self._all.wait()  # the others come, or all are cancelled
        if self._failed is not None:
            raise self._failed

        return self._answers.get(request.run_id)

    async def _ask(self) -> None:
        first = self._asked[0]
        alike = {repr(replace(each, run_id="", sampling=_seedless(each))) for each in self._asked}
        if len(alike) == 1:
            runs = [each.run_id for each in self._asked]
            group: Any = self.model
            answers = await group.respond_group(first, runs)
            self._answers = dict(zip(runs, answers, strict=True))


def _seedless(request: Request) -> Any:
    return request.sampling.model_copy(update={"seed": None})
