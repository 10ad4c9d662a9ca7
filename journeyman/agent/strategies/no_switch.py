"""Fewer turns of thought (Wang and others, 2025: "Thoughts are all over the place"): until a thought has some length,
the words that begin another one ("Alternatively", "Wait") are made less likely.
"""

from typing import ClassVar

from pydantic import Field

from journeyman.agent.models.model import Capabilities
from journeyman.agent.session import Order
from journeyman.agent.strategies.strategy import Single, sampled
from journeyman.errors import UsageError


class NoSwitch(Single):
    name: ClassVar[str] = "no_switch"
    penalty: float = Field(default=3.0, gt=0)
    """In nats."""
    window: int = Field(default=200, ge=1)
    """Tokens of a thought before it may be left."""
    max: int = Field(default=2048, ge=1)
    """Tokens at which thinking is ended."""

    def needs(self, order: Order, able: Capabilities) -> None:  # noqa: ARG002 - the model tells
        if not (able.thinking and able.token_ids):
            raise UsageError("Only a local model that thinks can be kept to a thought.", fix="Use cot, or vote.")

    def order(self, order: Order) -> Order:
        return sampled(order, think=self.max, switch_penalty=self.penalty, switch_window=self.window)
