"""Any server that speaks OpenAI Chat Completions: llama-server, Ollama, vLLM, LM Studio, or a provider."""

from collections.abc import Mapping, Sequence
from typing import Any

from journeyman.agent.models import chat_format
from journeyman.agent.models.answer import Answer
from journeyman.agent.models.model import SMALL, Request
from journeyman.agent.models.remote import RemoteModel
from journeyman.traces.messages import Message


class ChatModel(RemoteModel):
    """The model `name` of the server at `url`; the server's first model without a name."""

    sdk, api, key = "openai", "Chat Completions", "JOURNEYMAN_API_KEY"
    home = ("OpenAI", "https://api.openai.com/v1")
    example = "http://HOST:PORT/v1#NAME"

    def _client_of(self, sdk: Any, options: dict[str, Any]) -> Any:
        account = {"OpenAI-Organization": sdk.Omit(), "OpenAI-Project": sdk.Omit()}
        return sdk.AsyncOpenAI(**options, default_headers=None if self._ours else account)

    async def _find(self) -> None:
        """Find the model in the server's list; a server without a list is believed."""
        found = await self._looked_up(self._listed) or {}
        if not self._name and found:
            self._name = next(iter(found))

        if not self._name or (found and self._name not in found):
            raise self._unknown(sorted(found))

        self._learn(found.get(self._name, {}))

    async def _listed(self) -> dict[str, Mapping[str, Any]]:
        listed = await self._client.models.list()
        return {each.id: each.model_extra or {} for each in listed.data or ()}

    def _learn(self, extra: Mapping[str, Any]) -> None:
        """What llama.cpp (`meta`) and vLLM (`max_model_len`) tell of a model."""
        meta = extra.get("meta") or {}
        parameters = meta.get("n_params")
        small = isinstance(parameters, int) and parameters < SMALL
        told = meta.get("n_ctx") or extra.get("max_model_len")
        self._own = not self.capabilities.remote or bool(meta or extra.get("max_model_len"))
        self._know(
            small=small, untrained=small, context=int(told or self.capabilities.context), context_told=bool(told)
        )

    def _render(self, said: Message, turns: list[dict[str, Any]]) -> None:
        turns.append(chat_format.message(said))

    async def _ask(self, request: Request, turns: Sequence[dict[str, Any]]) -> Any:
        system = [{"role": "system", "content": request.system}] if request.system else []
        sampling = request.sampling
        tokens = "max_completion_tokens" if self._ours else "max_tokens"
        drawn = {} if self._ours else {"temperature": sampling.temperature, "top_p": sampling.top_p}
        return await self._client.chat.completions.create(
            model=self._name,
            messages=[*system, *turns],
            stream=True,
            stream_options={"include_usage": True},
            **drawn,  # OpenAI's reasoning models refuse it
            **({} if sampling.seed is None else {"seed": sampling.seed}),
            **{tokens: sampling.max_tokens if self.capabilities.small else self._room(request)},
            **chat_format.options(request),
            **chat_format.thinking(sampling, own=self._own),
        )

    def _answer(self, request: Request) -> Answer:
        return chat_format.ChatAnswer(request)
