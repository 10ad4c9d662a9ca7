"""What is said in a run: the values that models read and write, providers translate and trainers learn from.

Frozen and pure: no clock, no storage, no identity beyond the ids a model itself needs to match a call with its result.
Text of a call's arguments is kept exactly as the model wrote it; parsing happens once, in the toolbox, and its outcome
is a `call_proposed` event.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class _Quick(type(BaseModel)):
    """`isinstance` as for any class. Pydantic's own takes ten times as long where the answer is no, and a step of a run
    asks a hundred times which kind of event it looks at.
    """

    __instancecheck__ = type.__instancecheck__
    __subclasscheck__ = type.__subclasscheck__


class Value(BaseModel, metaclass=_Quick):
    """Base of everything that is stored: frozen, strict about unknown keys, documented under each field."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Text(Value):
    type: Literal["text"] = "text"
    text: str


class Thinking(Value):
    type: Literal["thinking"] = "thinking"
    text: str
    signature: str | None = None
    """What a provider needs back, untouched, to accept this thought on the next call."""
    hidden: bool = False
    """The provider returned a summary or nothing: never a training target."""
    redacted: bool = False
    """The provider keeps it from everybody; `signature` is what it sent instead."""

    @property
    def shown(self) -> str:
        """What a reader is told it is: "" for the thought itself, else summary, hidden or redacted."""
        if self.redacted:
            return "redacted"

        return "" if not self.hidden else "summary" if self.text else "hidden"


class ToolCall(Value):
    type: Literal["tool_call"] = "tool_call"
    id: str
    """Unique in its run; the result carries it back."""
    name: str
    """The name the model was offered: `server__tool`."""
    arguments: str
    """JSON text, exactly as the model wrote it; it may be invalid."""

    @property
    def parsed(self) -> dict[str, Any] | None:
        """The arguments; None where they are no JSON object."""
        try:
            found = json.loads(self.arguments)
        except (ValueError, RecursionError):
            return None

        return found if isinstance(found, dict) else None


Part = Annotated[Thinking | Text | ToolCall, Field(discriminator="type")]


def call_id(step: int, index: int) -> str:
    """`c3` for the call of step 3, `c3_2` for its second one: unique in a run, with nothing to remember."""
    return f"c{step}" if index == 0 else f"c{step}_{index + 1}"


class UserMessage(Value):
    type: Literal["user"] = "user"
    text: str


class AssistantMessage(Value):
    type: Literal["assistant"] = "assistant"
    parts: tuple[Part, ...]
    provider_state: JsonValue = None
    """Opaque items (reasoning, encrypted state) that go back to the provider as they came."""

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if part.type == "text")

    @property
    def thinking(self) -> str:
        return "".join(part.text for part in self.parts if part.type == "thinking")

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(part for part in self.parts if part.type == "tool_call")


class ToolResult(Value):
    type: Literal["tool_result"] = "tool_result"
    call_id: str
    name: str
    """The name the model was offered, as in the call."""
    text: str
    """What the model reads."""
    is_error: bool = False
    data: JsonValue = None
    """Structured content, for programs; never shown to the model."""


Message = Annotated[UserMessage | AssistantMessage | ToolResult, Field(discriminator="type")]


class ToolSpec(Value):
    """A tool as it is offered to a model; the run's first event stores it."""

    name: str
    """Model-visible alias, `[A-Za-z0-9_-]{1,64}`, unique in its run."""
    server: str
    """The server's name from the user's own configuration, or `python` for native functions."""
    tool: str
    """The tool's name on that server."""
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """JSON Schema of the arguments (2020-12, an object)."""
    read_only: bool = False
    """It changes nothing."""
    idempotent: bool = False
    """Doing it twice is the same as doing it once: it may be repeated after a crash."""

    @property
    def identity(self) -> str:
        """`server.tool`: what policies, traces and people call it."""
        return f"{self.server}.{self.tool}"


class Usage(Value):
    """Tokens of one model call, or of several added up."""

    prompt_tokens: int = 0
    """All tokens the model read, cached ones included."""
    cached_tokens: int = 0
    completion_tokens: int = 0
    """All tokens the model wrote, thinking included."""
    reasoning_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
        )

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class TokenSpan(Value):
    """A stretch of the token sequence the engine really saw, in order, without gaps."""

    kind: Literal["context", "sampled", "forced"]
    """context: put there by the renderer; sampled: drawn by the model; forced: written for it (prefill, "Wait")."""
    ids: tuple[int, ...]
    logprobs: tuple[float | None, ...] | None = None
    """One for each id of a sampled span, in nats; None where the engine gave none. Unset: not recorded at all."""


class Tokens(Value):
    """Token record of one model call. The spans of a run, joined, are exactly what the engine read and wrote."""

    level: Literal["tokens", "text"]
    """tokens: ids are complete and exact. text: they are not; spans are empty and nothing may train on them."""
    logprob_kind: Literal["raw", "processed", "none"] = "none"
    root: bool = False
    """The prompt does not extend the previous call's tokens: a new sequence begins here."""
    spans: tuple[TokenSpan, ...] = ()
    """New tokens only: the context since the previous call's last token, then the completion."""
