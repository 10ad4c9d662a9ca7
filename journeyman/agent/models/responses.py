"""OpenAI's own models, through its Responses API; nothing is stored there.

What the model returns, its encrypted reasoning included, is kept as it came and goes back as it came, so that it thinks
on from where it was.
"""

from typing import Any

from journeyman.agent.models import responses_format as form
from journeyman.agent.models.answer import Answer
from journeyman.agent.models.model import Request
from journeyman.agent.models.remote import RemoteModel
from journeyman.traces.messages import Message

OPTIONAL = ("include", "reasoning.summary")
"""What is asked of every model and left out for those that do not think, or that do not say what."""
WINDOW = 128_000
"""Tokens of context, where neither the server nor the price list tells."""


class ResponsesModel(RemoteModel):
    """`name` of OpenAI, or of a server at `url` that speaks Responses."""

    sdk, api, key = "openai", "OpenAI Responses", "OPENAI_API_KEY"
    home = ("OpenAI", "https://api.openai.com/v1")
    example = "openai:NAME"
    _without: frozenset[str] = frozenset()

    def _client_of(self, sdk: Any, options: dict[str, Any]) -> Any:
        return sdk.AsyncOpenAI(**options)

    async def _find(self) -> None:
        """See that the model is listed; a server without a list is believed."""
        listed = await self._looked_up(self._client.models.list)
        found = {each.id: each.model_extra or {} for each in listed.data or ()} if listed else {}
        if not self._name or (found and self._name not in found):
            raise self._unknown(sorted(found))

        meta = found.get(self._name, {}).get("meta") or {}
        told = meta.get("n_ctx")
        self._know(thinking=True, context=int(told or WINDOW), context_told=bool(told))

    def _render(self, said: Message, turns: list[dict[str, Any]]) -> None:
        turns += form.items(said, self._origin)

    async def _ask(self, request: Request, turns: list[dict[str, Any]]) -> Any:
        while True:
            try:
                return await self._client.responses.create(**self._body(request, turns))
            except self._sdk.BadRequestError as error:
                words = f"{error.param} {error.message}"
                named = [each for each in OPTIONAL if each in words and each not in self._without]
                if not named:
                    raise

                self._without |= {named[0]}

    def _body(self, request: Request, turns: list[dict[str, Any]]) -> dict[str, Any]:
        sampling = request.sampling
        body = {
            "model": self._name,
            "instructions": request.system or None,
            "input": turns,
            "max_output_tokens": self._room(request),
            "store": False,
            "stream": True,
            "include": ["reasoning.encrypted_content"],
            "reasoning": form.reasoning(sampling, summary="reasoning.summary" not in self._without),
            "prompt_cache_key": request.run_id,
            **form.options(request),
        }
        if not self.capabilities.remote:  # OpenAI's reasoning models refuse a temperature of their caller's
            body |= {"temperature": sampling.temperature, "top_p": sampling.top_p}

        return {name: value for name, value in body.items() if name not in self._without and value not in ({}, None)}

    def _answer(self, request: Request) -> Answer:
        return form.ResponsesAnswer(request, self._origin)

    @property
    def _origin(self) -> dict[str, Any]:
        return {"url": self._url, "model": self._name}
