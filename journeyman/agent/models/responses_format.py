"""The OpenAI Responses format: a conversation is a list of items, and what the model adds to it goes back untouched."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from journeyman.agent.models.answer import Answer
from journeyman.agent.models.failures import Said
from journeyman.agent.models.model import Request, Sampling
from journeyman.traces.events import ModelDelta
from journeyman.traces.messages import (
    AssistantMessage,
    Message,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
    UserMessage,
    call_id,
)

Item = dict[str, Any]
STATE = "responses"
"""The provider's state of a message: `url` and `model` of who made it, and its `items`."""
DELTAS: Mapping[str, Literal["thinking", "text", "call"]] = {
    "response.reasoning_summary_text.delta": "thinking",
    "response.reasoning_text.delta": "thinking",
    "response.output_text.delta": "text",
    "response.refusal.delta": "text",
    "response.function_call_arguments.delta": "call",
}
OPEN = frozenset({"allOf", "oneOf", "not", "if", "patternProperties", "dependentRequired", "dependentSchemas"})
"""Keywords that OpenAI does not enforce."""


def items(said: Message, origin: Mapping[str, str]) -> list[Item]:
    """One message as items: those of the provider where it was made by it, for it."""
    match said:
        case UserMessage(text=text):
            return [{"type": "message", "role": "user", "content": text}]
        case ToolResult(text=text, call_id=to):
            return [{"type": "function_call_output", "call_id": to, "output": text}]
        case AssistantMessage(provider_state={"responses": {"items": list() as kept, **of}}) if of == origin:
            return [item for item in kept if isinstance(item, dict)]
        case AssistantMessage():
            return [item for part in said.parts for item in _of_part(part)]


def _of_part(part: Part) -> Iterable[Item]:
    """Another model's words; its thoughts are not taken by this one."""
    match part:
        case Text(text=text):
            yield {"type": "message", "role": "assistant", "content": text}
        case ToolCall(id=new_id, name=name, arguments=arguments):
            yield {"type": "function_call", "call_id": new_id, "name": name, "arguments": arguments}


def reasoning(sampling: Sampling, *, summary: bool) -> Item:
    """Effort is the only measure there is; a number of tokens is also part of the limit of the whole answer."""
    if sampling.think == "off":
        return {"effort": "none"}

    effort = sampling.effort_asked or ("medium" if sampling.think == "on" else None)
    return {**({"effort": effort} if effort else {}), **({"summary": "auto"} if summary else {})}


def options(request: Request) -> Item:
    """Tools, and the schema of the answer."""
    asked: Item = {}
    if offered := request.allowed:
        asked["tool_choice"] = request.choice
        asked["tools"] = [
            {
                "type": "function",
                "name": spec.name,
                "description": spec.description,
                "parameters": spec.parameters or {"type": "object", "properties": {}},
                "strict": False,
            }
            for spec in offered
        ]

    if request.returns is not None and request.returns.get("type") == "object":
        asked["text"] = {"format": {"type": "json_schema", "name": "answer", **_enforced(dict(request.returns))}}

    return asked


def _enforced(schema: Item) -> Item:
    try:
        return {"schema": closed(schema), "strict": True}
    except ValueError:
        return {"schema": schema, "strict": False}


def closed(schema: Any) -> Any:
    """The schema as OpenAI enforces it: no object has more properties than are named, and each has all of them.

    Raises:
        ValueError: it says what OpenAI cannot enforce.
    """
    if isinstance(schema, list):
        return [closed(each) for each in schema]

    if not isinstance(schema, dict):
        return schema

    if OPEN & schema.keys() or ("$ref" in schema and len(schema) > 1):
        raise ValueError("not enforced")

    made = {name: value for name, value in schema.items() if name != "default"}
    for name in ("properties", "$defs"):
        if name in made:
            made[name] = {key: closed(value) for key, value in made[name].items()}

    for name in ("items", "prefixItems", "anyOf"):
        if name in made:
            made[name] = closed(made[name])

    if schema.get("type") == "object":
        if "properties" not in schema or schema.get("additionalProperties", False) is not False:
            raise ValueError("an object with any properties")

        made |= {"additionalProperties": False, "required": list(schema["properties"])}

    return made


class ResponsesAnswer(Answer):
    """Puts the events of one streamed response together."""

    def __init__(self, request: Request, origin: Mapping[str, str]) -> None:
        super().__init__(request)
        self._origin = origin
        self._items: dict[str, Item] = {}
        """By id, in the order they began; those that are not done are made of what was shown."""
        self._done: set[str] = set()

    def take(self, event: Any) -> Sequence[ModelDelta]:
        kind = event.type
        if shown := DELTAS.get(kind):
            item = self._items.setdefault(event.item_id, {"type": shown, "text": ""})
            item["text"] += event.delta
            return [ModelDelta(kind=shown, text=event.delta)]

        match kind:
            case "response.output_item.added" if event.item.type == "function_call":
                self._items[event.item.id] = {"type": "call", "name": event.item.name, "text": ""}
                return [ModelDelta(kind="call", text=event.item.name)]
            case "response.output_item.done":
                self._keep(event.item)
            case "response.completed" | "response.incomplete" | "response.failed":
                self._ended(event.response)
            case "error":
                raise Said(event.code, event.message)

        return ()

    def _keep(self, item: Any) -> None:
        self._items[item.id] = item.to_dict(mode="json")
        self._done.add(item.id)

    def _ended(self, response: Any) -> None:
        if error := getattr(response, "error", None):
            raise Said(error.code, error.message)

        if response.usage is not None:
            self.usage, self.cache_written = _counted(response.usage)

        for item in response.output or ():
            if item.id not in self._done:
                self._keep(item)

        why = response.incomplete_details.reason if getattr(response, "incomplete_details", None) else None
        content = [part for item in self._items.values() for part in item.get("content") or ()]
        refused = why == "content_filter" or any(part.get("type") == "refusal" for part in content)
        self.finish = "refusal" if refused else "length" if why else "stop"

    def message(self) -> AssistantMessage:
        """The items as parts, and as they came but for the ids of calls, which are ours."""
        calls = [item for item in self._items.values() if item["type"] in {"function_call", "call"}]
        for n, item in enumerate(calls):
            item["call_id"] = call_id(self.request.step, n)

        parts = [part for item in self._items.values() for part in _parts(item)]
        kept = [item for key, item in self._items.items() if key in self._done]
        state = {STATE: {**self._origin, "items": kept}} if kept else None
        return AssistantMessage(parts=tuple(parts), provider_state=state)


def _counted(usage: Any) -> tuple[Usage, int]:
    """Usage, and the tokens that were put into the cache; a server need not tell the details."""
    read, written = getattr(usage, "input_tokens_details", None), getattr(usage, "output_tokens_details", None)
    counted = Usage(
        prompt_tokens=usage.input_tokens or 0,
        cached_tokens=getattr(read, "cached_tokens", 0) or 0,
        completion_tokens=usage.output_tokens or 0,
        reasoning_tokens=getattr(written, "reasoning_tokens", 0) or 0,
    )
    return counted, getattr(read, "cache_write_tokens", 0) or 0


def _parts(item: Item) -> Iterable[Part]:
    match item:
        case {"type": "reasoning"}:
            yield _thought(item)
        case {"type": "thinking", "text": text}:
            yield Thinking(text=text, hidden=True)
        case {"type": "message"}:
            text = "".join(part.get("text") or part.get("refusal") or "" for part in item.get("content") or ())
            if text:
                yield Text(text=text)
        case {"type": "text", "text": text}:
            yield Text(text=text)
        case {"type": "function_call", "arguments": arguments} | {"type": "call", "text": arguments}:
            yield ToolCall(id=item["call_id"], name=item["name"], arguments=arguments or "{}")


def _thought(item: Item) -> Thinking:
    """The thought itself where the server shows it, else its summary, or nothing."""
    if whole := "".join(part.get("text") or "" for part in item.get("content") or ()):
        return Thinking(text=whole)

    return Thinking(text="\n\n".join(part.get("text") or "" for part in item.get("summary") or ()), hidden=True)
