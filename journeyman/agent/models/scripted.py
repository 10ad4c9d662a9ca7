"""A model that plays a script: for tests of programs that use journeyman, for ours, and to measure the runtime.

Every run starts at the first item, and step n plays item n: concurrent runs, resumed runs and forks each hear what
they would have heard. Everything is built when the script is read, so playing it costs next to nothing.
"""

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import anyio
from pydantic import JsonValue

from journeyman.agent.models.model import Capabilities, Request
from journeyman.errors import ModelError, ModelNotFound
from journeyman.traces.events import ModelDelta, ModelResponded
from journeyman.traces.messages import AssistantMessage, Message, Part, Text, Thinking, ToolCall, Usage, call_id

Item = str | Mapping[str, Any] | Sequence[Any] | Part | AssistantMessage | BaseException | Callable[[Request], Any]
"""What one step plays: an answer, a call `{"tool": name, "arguments": {...}}`, a thought `{"thinking": text}`, a list
of those, a whole message, an exception to raise, or a function of the request that gives one of these."""

CHARACTERS_PER_TOKEN = 4


class Played(NamedTuple):
    message: AssistantMessage
    deltas: tuple[ModelDelta, ...]
    tokens: int


class ScriptedModel:
    """Plays `script`, one item a step; a function in its place is asked at every step.

    `delay` is how many seconds each answer takes.
    """

    capabilities = Capabilities(context=1 << 20)

    def __init__(
        self, script: Sequence[Item] | Callable[[Request], Any], *, delay: float = 0.0, spec: str = "scripted"
    ) -> None:
        self.spec = spec
        self.delay = delay
        self._ask = script if callable(script) else None
        self._items = () if callable(script) else tuple(_ready(item, n) for n, item in enumerate(script, 1))
        self._read: dict[str, tuple[int, int]] = {}

    async def open(self) -> dict[str, JsonValue]:
        return {"model": self.spec, "items": len(self._items)}

    async def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded]:
        """Play the step's item.

        Raises:
            ModelError: the script has no item for this step.
        """
        played = self._play(request)
        if self.delay:
            await anyio.sleep(self.delay)

        for delta in played.deltas:
            yield delta

        yield ModelResponded(
            step=request.step,
            message=played.message,
            usage=Usage(prompt_tokens=self._count(request), completion_tokens=played.tokens),
            cost_usd=0.0,
            seconds=self.delay,
        )

    def forget(self, run_id: str) -> None:
        self._read.pop(run_id, None)

    async def close(self) -> None:
        self._read.clear()

    def _play(self, request: Request) -> Played:
        item: Any = self._ask or self._item(request.step)
        while callable(item):
            answer: Any = item(request)
            item = _ready(answer, request.step)

        if isinstance(item, BaseException):
            raise item

        return item

    def _item(self, step: int) -> Any:
        if not 1 <= step <= len(self._items):
            raise ModelError(
                f"The script is exhausted: it has {len(self._items)} items and step {step} was asked for.",
                fix="Add items to the script, or let the run end earlier.",
            )

        return self._items[step - 1]

    def _count(self, request: Request) -> int:
        """Prompt tokens, roughly; only messages that are new since the last step are looked at."""
        seen, tokens = self._read.get(request.run_id, (0, 0))
        messages = request.messages
        for at in range(seen, len(messages)):
            tokens += _length(messages[at]) // CHARACTERS_PER_TOKEN + 1

        self._read[request.run_id] = (len(messages), tokens)
        return tokens


def load_script(path: Path) -> ScriptedModel:
    """The model of a script file: a JSON array, or JSONL with one item a line; `{"error": text}` raises ModelError.

    Raises:
        ModelNotFound: there is no such file, or it is not such a script.
    """
    shape = "A script is a JSON array, or one JSON value a line: text, or {tool, arguments}, or a list of those."
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelNotFound(f"The script {str(path)!r} cannot be read: {error}.", fix=shape) from error

    try:
        return ScriptedModel(_items(text), spec=f"scripted:{path.absolute()}")
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelNotFound(f"The script {str(path)!r} is not valid: {error}.", fix=shape) from error


def _items(text: str) -> list[Any]:
    """One array, or a value a line; lines too may hold arrays."""
    try:
        whole = json.loads(text)
    except ValueError:
        if text.lstrip().startswith("[\n"):  # lines are not what was meant
            raise

        return [json.loads(line) for line in text.splitlines() if line.strip()]

    return whole if isinstance(whole, list) else [whole]


def _ready(item: Item, step: int) -> Played | BaseException | Callable[[Request], Any]:
    if callable(item) or isinstance(item, BaseException):
        return item

    if isinstance(item, Mapping) and "error" in item:
        return ModelError(str(item["error"]), fix="The script says so.")

    message = item if isinstance(item, AssistantMessage) else AssistantMessage(parts=tuple(_parts(item, step)))
    return Played(message, tuple(_deltas(message)), _length(message) // CHARACTERS_PER_TOKEN + 1)


def _parts(item: Any, step: int) -> list[Part]:
    listed = list(item) if isinstance(item, Sequence) and not isinstance(item, str) else [item]
    calls = 0
    parts = []
    for each in listed:
        part = _part(each, call_id(step, calls))
        calls += part.type == "tool_call"
        parts.append(part)

    return parts


def _part(item: Any, new_id: str) -> Part:
    match item:
        case Text() | Thinking() | ToolCall():
            return item
        case str():
            return Text(text=item)
        case {"tool": str(name)}:
            arguments = item.get("arguments", {})
            text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
            return ToolCall(id=item.get("id", new_id), name=name, arguments=text)
        case {"thinking": str(text)}:
            return Thinking(text=text)
        case {"text": str(text)}:
            return Text(text=text)
        case _:
            raise TypeError(f"{item!r} is not something that a script can say")


def _deltas(message: AssistantMessage) -> list[ModelDelta]:
    return [
        ModelDelta(kind="call", text=f"{part.name}({part.arguments})")
        if part.type == "tool_call"
        else ModelDelta(kind=part.type, text=part.text)
        for part in message.parts
    ]


def _length(message: Message) -> int:
    if message.type == "assistant":
        return sum(
            len(part.name) + len(part.arguments) if part.type == "tool_call" else len(part.text)
            for part in message.parts
        )

    return len(message.text)
