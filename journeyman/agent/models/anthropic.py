"""Anthropic's models, through its Messages API; or a server at another address that speaks it.

Thoughts go back with their signatures, as they came. The SDK has no temperature any more: these models refuse one.
"""

from typing import Any

from journeyman.agent.models import anthropic_format as form
from journeyman.agent.models.answer import Answer
from journeyman.agent.models.model import Request
from journeyman.agent.models.remote import RemoteModel
from journeyman.traces.messages import Message


class AnthropicModel(RemoteModel):
    """`name` of Anthropic, or of a server at `url`, without its `/v1`."""

    sdk, api, key = "anthropic", "Anthropic Messages", "ANTHROPIC_API_KEY"
    home = ("Anthropic", "https://api.anthropic.com")
    example = "anthropic:NAME"
    _able = form.Able()

    def _client_of(self, sdk: Any, options: dict[str, Any]) -> Any:
        return sdk.AsyncAnthropic(**options)

    async def _find(self) -> None:
        """Ask what the model can do; a server that does not tell is asked whether it has it."""
        info = await self._looked_up(lambda: self._client.models.retrieve(self._name))
        if info is None:
            listed = await self._looked_up(self._client.models.list)
            names = [each.id for each in listed.data or ()] if listed else []
            if not self._name or (names and self._name not in names):
                raise self._unknown(sorted(names))
        elif getattr(info, "capabilities", None) is not None:
            self._able = form.Able.told(info)
            self._know(thinking=info.capabilities.thinking.supported)

        told = getattr(info, "max_input_tokens", None)
        self._know(context=told or (200_000 if self._ours else 8192), context_told=bool(told))

    def _render(self, said: Message, turns: list[dict[str, Any]]) -> None:
        form.joined(turns, *form.turn(said, signed=self.capabilities.remote))

    async def _ask(self, request: Request, turns: list[dict[str, Any]]) -> Any:
        asked = form.head(request) | form.thinking(request.sampling, self._able, self.spec)
        if asked.get("thinking", {}).get("type") == "enabled" and "tools" in asked:
            asked["extra_headers"] = form.INTERLEAVED
            if request.choice == "required":  # which a limit to thinking does not go with
                asked["tool_choice"] = {"type": "auto"}

        if self._able.schema and request.returns is not None and request.returns.get("type") == "object":
            schema = self._sdk.transform_schema(dict(request.returns))
            asked["output_config"] = {
                **asked.get("output_config", {}),
                "format": {"type": "json_schema", "schema": schema},
            }

        if not self.capabilities.remote:
            asked["extra_body"] = self._local(request)

        return await self._client.messages.create(model=self._name, messages=form.marked(turns), stream=True, **asked)

    def _local(self, request: Request) -> dict[str, Any]:
        """What only a server on this machine takes."""
        sampling = request.sampling
        switch = {"chat_template_kwargs": {"enable_thinking": False}} if sampling.think == "off" else {}
        return {"temperature": sampling.temperature, "top_p": sampling.top_p, **switch}

    def _answer(self, request: Request) -> Answer:
        return form.MessagesAnswer(request)
