"""A model that stands before another one: the same in all that a subclass does not say otherwise."""

from collections.abc import AsyncGenerator, Mapping

from pydantic import JsonValue

from journeyman.agent.models.model import Capabilities, Model, Request
from journeyman.traces.events import ModelDelta, ModelResponded


class Wrapped:
    """`model`, which outlives the runtimes that this is used in: closing it closes nothing."""

    def __init__(self, model: Model) -> None:
        self.model = model

    @property
    def spec(self) -> str:
        return self.model.spec

    @property
    def capabilities(self) -> Capabilities:
        return self.model.capabilities

    async def open(self) -> Mapping[str, JsonValue]:
        return await self.model.open()

    def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded, None]:
        return self.model.respond(request)

    def forget(self, run_id: str) -> None:
        self.model.forget(run_id)

    async def close(self) -> None:
        """Whoever made the model closes it."""
