"""What a session is opened with, and how what goes wrong in it is told."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from journeyman.errors import JourneymanError, UsageError

if TYPE_CHECKING:
    from journeyman.tui.chat import Chat


class Opening(NamedTuple):
    """What a session is opened with."""

    cwd: Path
    session: str = ""
    """To go on with; empty for a new one, `last` for that of the folder which was used last."""
    settings: Mapping[str, Any] = {}
    socket: Path | None = None


async def quietly(chat: "Chat", work: Callable[[], Awaitable[Any]]) -> Any:
    """Do it; what goes wrong is told."""
    try:
        return await work()
    except JourneymanError as error:
        chat.told(error)
    except (OSError, ValueError) as error:
        chat.told(UsageError(str(error)))
