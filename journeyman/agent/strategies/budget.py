"""Budget forcing (s1: Muennighoff and others, 2025): a thought is ended when it gets too long, and where it ends too
early the end is taken back and "Wait" written in its place. What was written for the model is marked as forced.
"""

from typing import ClassVar

from pydantic import Field

from journeyman.agent.models.model import Capabilities
from journeyman.agent.session import Order
from journeyman.agent.strategies.strategy import Single, sampled
from journeyman.errors import UsageError


class Budget(Single):
    name: ClassVar[str] = "budget"
    min: int = Field(default=0, ge=0)
    """Tokens of thinking before which a thought may not end."""
    max: int = Field(default=2048, ge=1)
    """Tokens at which it is ended."""

    def needs(self, order: Order, able: Capabilities) -> None:  # noqa: ARG002 - the model tells
        if not able.thinking:
            fix = "Have it think in words, with cot, or use a model that thinks."
            raise UsageError("This model has no place of its own for thoughts, so there is no budget to keep.", fix=fix)

        if self.min and not able.token_ids:
            raise UsageError("A least budget needs a local model.", fix="Give max alone: budget(max=512).")

    def order(self, order: Order) -> Order:
        return sampled(order, think=self.max, think_min=min(self.min, self.max))
