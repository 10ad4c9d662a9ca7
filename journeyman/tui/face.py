"""What the conversation with the engine needs of a screen, and what it is opened with."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from journeyman.errors import JourneymanError, UsageError
from journeyman.tui.feed import Feed
from journeyman.tui.items import Item, Question
from journeyman.tui.status import Status


class Face(Protocol):
    """What shows it."""

    feed: Feed
    status: Status

    def show_status(self, status: Status) -> None: ...

    def show_history(self, items: list[Item], feed: Feed) -> None: ...

    def show_older(self, items: list[Item]) -> None: ...

    def show_queue(self, waiting: list[str], *, held: bool) -> None: ...

    def show_word(self, text: str) -> None: ...

    def show_question(self, question: Question) -> None: ...

    def settle(self, token: str) -> None: ...

    def keep(self, waiting: list[str]) -> None: ...

    def told(self, error: JourneymanError) -> None: ...


class Opening(NamedTuple):
    """What a session is opened with."""

    cwd: Path
    session: str = ""
    """To go on with; empty for a new one, `last` for that of the folder which was used last."""
    settings: Mapping[str, Any] = {}
    socket: Path | None = None


async def quietly(face: Face, work: Callable[[], Awaitable[Any]]) -> Any:
    """Do it; what goes wrong is told."""
    try:
        return await work()
    except JourneymanError as error:
        face.told(error)
    except (OSError, ValueError) as error:
        face.told(UsageError(str(error)))
