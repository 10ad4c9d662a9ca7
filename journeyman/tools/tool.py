"""A tool: what a model can call, wherever it really lives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

from journeyman.traces.messages import ToolSpec

Report = Callable[[str, float | None], None]
"""A word from a tool at work: text, and the fraction done (0..1) where it is known."""


@dataclass(frozen=True, slots=True)
class Output:
    text: str
    """What the model reads."""
    data: JsonValue = None
    """Structured content, for programs."""
    is_error: bool = False


class Tool(Protocol):
    @property
    def spec(self) -> ToolSpec: ...

    def parse(self, arguments: str) -> dict[str, JsonValue]:
        """The call's arguments, validated, from the JSON text a model wrote.

        Raises:
            ToolError: they do not fit; the message tells the model what would.
        """
        ...

    async def call(self, arguments: dict[str, JsonValue], report: Report) -> Output:
        """Do it. Cancelling the task stops the work.

        Raises:
            ToolError: the tool says no, in words for the model.
            ServerError: the server behind it is gone; `maybe_done` tells whether the effect may have happened.
        """
        ...
