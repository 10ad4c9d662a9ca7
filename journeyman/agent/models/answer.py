"""One streamed answer of a provider, put together from its events."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

from journeyman.agent.models.model import Request
from journeyman.traces.events import ModelDelta
from journeyman.traces.messages import AssistantMessage, Usage

Finish = Literal["stop", "length", "cut", "refusal"]


class Answer(ABC):
    """Puts one streamed answer together.

    `take` and `rest` raise ValueError, TypeError, AttributeError or KeyError for what is none of the format's events.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.usage = Usage()
        self.cache_written = 0
        """Tokens of the prompt that the provider put into its cache."""
        self.finish: Finish = "cut"

    @abstractmethod
    def take(self, event: Any) -> Sequence[ModelDelta]:
        """What one event of the stream shows."""

    def rest(self) -> Sequence[ModelDelta]:
        """What was held back, when nothing more comes."""
        return ()

    @abstractmethod
    def message(self) -> AssistantMessage:
        """What has come so far, as a message."""
