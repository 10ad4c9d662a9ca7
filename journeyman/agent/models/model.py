"""What the loop knows of a model: it is asked with a request and answers with deltas, then one response.

A model owns its rendering. It is handed the whole conversation each time, remembers by `run_id` how far it has
rendered, and does work only for what is new; a conversation that does not extend that is rendered afresh.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import JsonValue

from journeyman.traces.events import Choice, ModelDelta, ModelResponded
from journeyman.traces.messages import Message, ToolSpec, Value


class Capabilities(Value):
    """What a model can do, as data: the runtime asks these, never the model's name."""

    thinking: bool = False
    token_ids: bool = False
    """Responses carry exact token ids."""
    logprobs: bool = False
    grammar: bool = False
    """`choice`, the tools' schemas and `returns` are enforced while sampling, not hoped for."""
    small: bool = False
    """Needs help: few tools at a time, one repeated call ends the tool use."""
    untrained: bool = False
    """Small, and never taught this runtime's tools: its first call is forced and examples are shown to it."""
    remote: bool = False
    """What it reads leaves this machine."""
    context: int = 8192
    """Tokens that fit its window."""


class Sampling(Value):
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 1024
    seed: int | None = None
    logprobs: bool = False
    """Record each sampled token's log-probability; the call is then neither streamed nor locked to a grammar."""


@dataclass(frozen=True, slots=True)
class Request:
    run_id: str
    step: int
    instructions: str
    messages: Sequence[Message]
    """The whole conversation; it starts with the user's prompt."""
    tools: Sequence[ToolSpec]
    """The run's tools; the same in every step of a run."""
    choice: Choice = "auto"
    offered: frozenset[str] | None = None
    """Names that may be called in this step; None for all."""
    returns: Mapping[str, JsonValue] | None = None
    """JSON Schema that the final answer must match."""
    sampling: Sampling = field(default_factory=Sampling)


class Model(Protocol):
    @property
    def spec(self) -> str:
        """The spec string it was made from."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...

    async def open(self) -> Mapping[str, JsonValue]:
        """Load or connect, once; later calls return the same: what identifies the model, for the trace.

        Raises:
            ModelError: it cannot be had, with the fix.
        """
        ...

    def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded, None]:
        """Deltas while it writes, then exactly one `ModelResponded`. Closing the generator stops the model."""
        ...

    def forget(self, run_id: str) -> None:
        """Drop what is remembered of a finished run."""
        ...

    async def close(self) -> None: ...
