"""With the real engine: what a model read of a secret is what is stored of it, to the token."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace

import pytest
from pydantic import JsonValue

from journeyman.agent.models.llama import LlamaModel
from journeyman.agent.models.model import Request, Sampling
from journeyman.agent.order import Order
from journeyman.agent.session import Crew, execute
from journeyman.policies.policy import Policy
from journeyman.tools.function import tool
from journeyman.traces.events import CallFinished, ModelDelta, ModelResponded
from journeyman.veil import PLACEHOLDER
from tests.agent.crew import Box, Memory

SECRET = "ghp_q7Jz0pWm4Xv9Tn2Lr8Bs6Yd3"


class Calling:
    """The model, which must call a tool first, and then answers in one piece, so that no id of it is unknown."""

    def __init__(self, model: LlamaModel) -> None:
        self._model = model
        self.spec, self.capabilities = model.spec, model.capabilities

    async def open(self) -> Mapping[str, JsonValue]:
        return await self._model.open()

    async def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded, None]:
        first, whole = request.step == 1, request.sampling.model_copy(update={"logprobs": True})
        changed = {"choice": "required"} if first else {"choice": "none", "sampling": whole}
        async for item in self._model.respond(replace(request, **changed)):
            yield item

    def forget(self, run_id: str) -> None:
        self._model.forget(run_id)

    async def close(self) -> None:
        """It is shared."""


@pytest.fixture
def anyio_backend():
    return "asyncio"


@tool
def read_key() -> str:
    """Read the key."""
    return f"The key is {SECRET}."


async def test_token_ids_decode_to_the_text_that_is_stored(llama) -> None:
    memory = Memory()
    box = Box({"read_key": read_key})
    who = Crew(Calling(llama), box, Policy.preset("ask").allow("*"), memory, "secrets")
    order = Order("Which key?", instructions=f"You know {SECRET}.", sampling=Sampling(max_tokens=30), plan=False)

    await execute(order, who)

    (finished,) = [event for event in memory.events if isinstance(event, CallFinished)]
    responses = [event for event in memory.events if isinstance(event, ModelResponded)]
    ids = [n for event in responses if event.tokens for span in event.tokens.spans for n in span.ids]
    text = (await llama._running.wire.post("/detokenize", {"tokens": ids}))["content"]
    assert PLACEHOLDER.search(finished.result.text)
    assert finished.result.text in text
    assert "You know SECRET_GITHUB_TOKEN_" in text
    assert all(event.message.text in text for event in responses)
    assert SECRET not in text
    assert [event.tokens.root for event in responses if event.tokens] == [True, False]
