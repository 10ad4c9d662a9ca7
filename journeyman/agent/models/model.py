"""What the loop knows of a model: it is asked with a request and answers with deltas, then one response.

A model owns its rendering. It is handed the whole conversation each time, remembers by `run_id` how far it has
rendered, and does work only for what is new; a conversation that does not extend that is rendered afresh.
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Protocol, Self

from pydantic import JsonValue, model_validator

from journeyman.config import Effort, Think
from journeyman.errors import UsageError
from journeyman.traces.events import Choice, ModelDelta, ModelResponded
from journeyman.traces.messages import Message, ToolSpec, Value

RESUME = "Run it again, or go on from what is stored: journeyman run --resume last"
"""What to do where a model is gone in the middle of a run."""
SMALL = 1_000_000_000
"""Parameters below which a model needs the runtime's help."""
THOUGHT: Mapping[Effort, int] = {
    "minimal": 1024, "low": 4096, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 65536
}  # fmt: skip
"""Tokens of thinking that an effort comes to, where a provider knows only the one or the other."""


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
    priced: bool = True
    """It costs nothing, or its price is known."""
    context: int = 8192
    """Tokens that fit its window."""
    context_told: bool = True
    """The model, its server or a price list says so; else it is a cautious guess."""
    parallel: int = 1
    """Conversations that it has under way at once to advantage."""


class Sampling(Value):
    """How a model's tokens are drawn.

    Raises:
        UsageError: a value is out of its bounds.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 1024
    seed: int | None = None
    logprobs: bool = False
    """Record each sampled token's log-probability; the call is then neither streamed nor locked to a grammar."""
    think: Think = "auto"
    """The user's or the caller's word only: nothing that a tool or a file says gets here."""
    effort: Effort | None = None
    """How much to think, and to do, in the provider's own measure; None is its default."""
    think_min: int = 0
    """Tokens before which a local model's thought may not end."""
    switch_penalty: float = 0.0
    """How much less likely, in nats, a local model turns to another thought, until the present one has
    `switch_window` tokens."""
    switch_window: int = 200
    adapters: tuple[float, ...] = ()
    """Scale of each of a local model's adapters, in their order; empty for all of them at 1."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if not (self.temperature >= 0 and isfinite(self.temperature)):
            raise UsageError(f"A temperature of {self.temperature} makes no sense.", fix="Give 0 or more.")

        if not 0 < self.top_p <= 1:
            raise UsageError(f"A top_p of {self.top_p} makes no sense.", fix="Give more than 0 and at most 1.")

        if self.max_tokens < 1:
            raise UsageError(f"No answer has {self.max_tokens} tokens.", fix="Give max_tokens of 1 or more.")

        return self

    @property
    def thought(self) -> int:
        """Tokens to leave for thinking, beside those of the answer."""
        if isinstance(self.think, int):
            return self.think

        return 0 if self.think == "off" else THOUGHT[self.effort or "medium"]

    @property
    def effort_asked(self) -> Effort | None:
        """The effort, also where a number of tokens was given instead."""
        if self.effort is not None or not isinstance(self.think, int):
            return self.effort

        return next((effort for effort, tokens in THOUGHT.items() if tokens >= self.think), "max")


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

    @property
    def allowed(self) -> list[ToolSpec]:
        """The tools that may be called in this step."""
        return [spec for spec in self.tools if self.offered is None or spec.name in self.offered]

    @property
    def system(self) -> str:
        """The instructions, and what shape the answer must have: not every server or step can enforce it."""
        if self.returns is None:
            return self.instructions

        schema = json.dumps(self.returns, ensure_ascii=False)
        return f"{self.instructions}\n\nYour final answer must be JSON that fits this schema: {schema}".lstrip()


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
        """Deltas while it writes, then exactly one `ModelResponded`. Closing the generator stops the model.

        Raises:
            ModelError: it cannot be asked; or, after the response, why that was cut.
        """
        ...

    def forget(self, run_id: str) -> None:
        """Drop what is remembered of a run that is finished, or goes on from another conversation."""
        ...

    async def close(self) -> None: ...
