"""The Anthropic Messages format: thoughts carry signatures, and what is read again is marked for the cache."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from journeyman.agent.models.answer import Answer, Finish
from journeyman.agent.models.model import THOUGHT, Effort, Request, Sampling
from journeyman.agent.models.parse import read_json
from journeyman.errors import ModelError
from journeyman.traces.events import ModelDelta
from journeyman.traces.messages import (
    AssistantMessage,
    Message,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
    UserMessage,
    call_id,
)

Block = dict[str, Any]
CACHED = {"cache_control": {"type": "ephemeral"}}
FINISHES: dict[str, Finish] = {
    "max_tokens": "length", "model_context_window_exceeded": "length", "refusal": "refusal"
}  # fmt: skip
LEAST = 1024
"""Tokens of thinking below which Anthropic takes no limit."""
INTERLEAVED = {"anthropic-beta": "interleaved-thinking-2025-05-14"}
"""Lets a model with a limit think between its calls too; one that sets its own measure does so anyway."""


class Able(NamedTuple):
    """What a model takes, as the provider tells; the defaults are of a server that does not tell."""

    adaptive: bool = False
    enabled: bool = True
    disabled: bool = True
    efforts: frozenset[str] = frozenset()
    schema: bool = False
    tokens: int | None = None
    """It writes at most so many."""
    least: int = 1

    @classmethod
    def told(cls, info: Any) -> "Able":
        """What `models.retrieve` says of a model."""
        able = info.capabilities
        types = able.thinking.types
        efforts = [name for name in THOUGHT if getattr(getattr(able.effort, name, None), "supported", False)]
        return cls(
            adaptive=types.adaptive.supported,
            enabled=types.enabled.supported,
            disabled=types.disabled.supported,
            efforts=frozenset(efforts),
            schema=able.structured_outputs.supported,
            tokens=info.max_tokens,
            least=LEAST,
        )

    def effort(self, asked: Effort | None) -> str | None:
        """The effort nearest to what is asked among those it has, rather less than more."""
        if asked is None or not self.efforts:
            return None

        order = list(THOUGHT)
        known = [name for name in order if name in self.efforts]
        below = [name for name in known if order.index(name) <= order.index(asked)]
        return below[-1] if below else known[0]


def turn(said: Message, *, signed: bool) -> tuple[str, list[Block]]:
    """The role and the blocks of one message; `signed`: thoughts without a signature are not taken."""
    match said:
        case UserMessage(text=text):
            return "user", [{"type": "text", "text": text}]
        case ToolResult():
            return "user", [_result(said)]
        case AssistantMessage():
            return "assistant", [block for part in said.parts for block in _block(part, signed=signed)]


def _result(said: ToolResult) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": said.call_id}
    if said.text.strip():
        block["content"] = said.text

    return block | {"is_error": True} if said.is_error else block


def _block(part: Part, *, signed: bool) -> Iterable[Block]:
    match part:
        case Thinking(redacted=True):
            yield {"type": "redacted_thinking", "data": part.signature}
        case Thinking(text=text, signature=signature):
            if signature or not signed:
                yield {"type": "thinking", "thinking": text, "signature": signature or ""}
        case Text(text=text):
            if text.strip():
                yield {"type": "text", "text": text}
        case ToolCall(id=new_id, name=name, arguments=arguments):
            value = read_json(arguments, strict=True)
            made = value if isinstance(value, dict) else {"unreadable": arguments}
            yield {"type": "tool_use", "id": new_id, "name": name, "input": made}


def joined(turns: list[Block], role: str, blocks: list[Block]) -> None:
    """Add blocks to the conversation: what one side says in a row is one message."""
    if turns and turns[-1]["role"] == role:
        turns[-1] = {"role": role, "content": [*turns[-1]["content"], *blocks]}
    elif blocks:
        turns.append({"role": role, "content": blocks})


def marked(turns: Sequence[Block]) -> list[Block]:
    """The conversation with its last two user messages marked: read from the cache up to the first, written up to the
    second.
    """
    made = list(turns)
    for at in [at for at, each in enumerate(made) if each["role"] == "user"][-2:]:
        *blocks, last = made[at]["content"]
        made[at] = {**made[at], "content": [*blocks, last | CACHED]}

    return made


def head(request: Request) -> Block:
    """System prompt and tools; they are the same in every step, so their end is marked."""
    asked: Block = {}
    offered = request.allowed
    if offered:
        asked["tools"] = [_tool(spec) for spec in offered]
        asked["tool_choice"] = {"type": "any" if request.choice == "required" else request.choice}

    if request.system:
        asked["system"] = [{"type": "text", "text": request.system, **CACHED}]
    elif offered:
        asked["tools"][-1] |= CACHED

    return asked


def _tool(spec: ToolSpec) -> Block:
    schema = {"type": "object", "properties": {}, **spec.parameters}
    return {"name": spec.name, "description": spec.description, "input_schema": schema}


def thinking(sampling: Sampling, able: Able, spec: str) -> Block:
    """How it is told to think, and within how many tokens all is written.

    Raises:
        ModelError: the model does not let itself be told so.
    """
    effort = able.effort(sampling.effort_asked)
    config = _config(sampling, able, spec)
    tokens = sampling.max_tokens
    if config.get("type") == "enabled":
        config["budget_tokens"] = max(able.least, sampling.thought)
        tokens += config["budget_tokens"]
    elif config.get("type") == "adaptive":
        tokens += sampling.thought

    tokens = min(tokens, able.tokens or tokens)
    if "budget_tokens" in config:
        config["budget_tokens"] = min(config["budget_tokens"], tokens - 1)

    return {
        "max_tokens": tokens,
        **({"thinking": config} if config else {}),
        **({"output_config": {"effort": effort}} if effort else {}),
    }


def _config(sampling: Sampling, able: Able, spec: str) -> Block:
    if sampling.think == "off":
        if able.disabled:
            return {"type": "disabled"}

        raise ModelError(f"{spec} cannot be kept from thinking.", fix="Let it think little: --effort low")

    limited = isinstance(sampling.think, int) and able.enabled
    if able.adaptive and not limited:
        return {"type": "adaptive", "display": "summarized"}

    if sampling.think == "auto" and (sampling.effort is None or able.efforts):
        return {}

    if not able.enabled:
        raise ModelError(f"{spec} does not think.", fix="Leave it to the model: --think auto")

    return {"type": "enabled", "display": "summarized"}


class MessagesAnswer(Answer):
    """Puts the events of one streamed message together."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._blocks: dict[int, Block] = {}
        self._counts: dict[str, int] = {}
        self._reasoned = 0
        self._why = ""

    def take(self, event: Any) -> Sequence[ModelDelta]:
        match event.type:
            case "message_start":
                self._count(event.message.usage)
            case "content_block_start":
                return self._begin(event.index, event.content_block)
            case "content_block_delta":
                return self._add(self._blocks[event.index], event.delta)
            case "message_delta":
                self._count(event.usage)
                reason = event.delta.stop_reason
                self.finish = FINISHES.get(reason, "stop") if reason else "cut"
                self._why = getattr(getattr(event.delta, "stop_details", None), "explanation", None) or ""

        return ()

    def _begin(self, index: int, block: Any) -> Sequence[ModelDelta]:
        text = getattr(block, "text", None) or getattr(block, "thinking", None) or ""
        self._blocks[index] = {"type": block.type, "text": text, "signature": getattr(block, "signature", None) or ""}
        match block.type:
            case "tool_use":
                self._blocks[index]["name"] = block.name
                return [ModelDelta(kind="call", text=block.name)]
            case "redacted_thinking":
                self._blocks[index]["signature"] = block.data

        return ()

    def _add(self, block: Block, delta: Any) -> Sequence[ModelDelta]:
        match delta.type:
            case "text_delta":
                block["text"] += delta.text
                return [ModelDelta(kind="text", text=delta.text)]
            case "thinking_delta":
                block["text"] += delta.thinking
                return [ModelDelta(kind="thinking", text=delta.thinking)]
            case "input_json_delta":
                block["text"] += delta.partial_json
                return [ModelDelta(kind="call", text=delta.partial_json)]
            case "signature_delta":
                block["signature"] += delta.signature

        return ()

    def _count(self, usage: Any) -> None:
        """Counts are told twice, and those told later are whole."""
        for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"):
            value = getattr(usage, name, None)
            self._counts[name] = self._counts.get(name, 0) if value is None else value

        details = getattr(usage, "output_tokens_details", None)
        self._reasoned = getattr(details, "thinking_tokens", None) or self._reasoned
        new, read, written, out = self._counts.values()
        self.cache_written = written
        self.usage = Usage(
            prompt_tokens=new + read + written,
            cached_tokens=read,
            completion_tokens=out,
            reasoning_tokens=self._reasoned,
        )

    def message(self) -> AssistantMessage:
        parts: list[Part] = []
        for index in sorted(self._blocks):
            parts += self._part(self._blocks[index], sum(part.type == "tool_call" for part in parts))

        if self._why and not any(part.type == "text" for part in parts):
            parts.append(Text(text=self._why))

        return AssistantMessage(parts=tuple(parts))

    def _part(self, block: Block, calls: int) -> Iterable[Part]:
        text, signature = block["text"], block["signature"]
        match block["type"]:
            case "thinking":  # Anthropic's models sign, and what they return is a summary
                yield Thinking(text=text, signature=signature or None, hidden=bool(signature))
            case "redacted_thinking":
                yield Thinking(text="", signature=signature, hidden=True, redacted=True)
            case "text" if text:
                yield Text(text=text)
            case "tool_use":
                yield ToolCall(id=call_id(self.request.step, calls), name=block["name"], arguments=text or "{}")
