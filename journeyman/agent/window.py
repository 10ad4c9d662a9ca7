"""How full the model's window is: a fold over a run's events. The model's own count where it has answered; for what
came since, a guess that is corrected by its next answer.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from journeyman.traces.events import CallFinished, Compacted, Event, MessageAdded, ModelResponded, RunStarted
from journeyman.traces.messages import AssistantMessage, Message

CHARACTERS = 3
"""Of a token, as it is guessed: few enough for code; digits have more tokens, and an overflow tells of them."""
FULL = 0.75
"""The share of a window that is filled before older parts make room."""


@dataclass(slots=True)
class Window:
    size: int
    """Tokens that fit."""
    share: float = FULL
    tokens: int = 0
    """Of the conversation, with instructions and tools."""
    _fixed: int | None = None
    """Those of instructions and tools; None until the model has counted."""
    _rest: int = 0
    """What was left when it was last compacted."""

    @property
    def full(self) -> bool:
        """Room must be made; not again before something has come that could be left out."""
        return self.tokens > self.share * self.size and self.tokens > self._rest + self.size // 8

    def apply(self, event: Event, messages: Iterable[Message]) -> None:
        """Take an event into account; `messages` are the conversation after it."""
        if type(event) is ModelResponded:
            usage = event.usage
            if self._fixed is None and usage.prompt_tokens:
                self._fixed = max(0, usage.prompt_tokens - self.tokens)

            self.tokens = usage.total_tokens if usage.prompt_tokens else self.tokens + guess(event.message)
        elif type(event) is CallFinished:
            self.tokens += guess(event.result)
        elif type(event) is MessageAdded:
            self.tokens += tokens(event.text)
        elif type(event) is RunStarted and event.parent_seq is None:
            self.tokens = tokens(event.prompt)
        elif type(event) is Compacted:
            self._rest = self.tokens = (self._fixed or 0) + sum(map(guess, messages))


def guess(message: Message) -> int:
    """Tokens that a message may have."""
    if not isinstance(message, AssistantMessage):
        return tokens(message.text)

    state = json.dumps(message.provider_state) if message.provider_state else ""
    return tokens(f"{message.text}{message.thinking}{state}") + sum(
        tokens(call.name + call.arguments) for call in message.calls
    )


def tokens(text: str) -> int:
    """With the marks around a message."""
    return (len(text) if text.isascii() else len(text.encode(errors="replace"))) // CHARACTERS + 8
