"""The app in a test: what stands on its screen, as text."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from journeyman.tui.app import Journeyman
from journeyman.tui.choice import Choice
from journeyman.tui.face import Opening

PLAIN = Choice(theme="journeyman-dark")
SIZES = ((120, 36), (80, 24), (40, 12))


def shown(app: Journeyman) -> str:
    """The screen, line by line."""
    rows = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in row).rstrip() for row in rows)


async def quiet() -> None:
    """Stands for the engine: nothing is ever said."""


@asynccontextmanager
async def alone(size: tuple[int, int] = (80, 24), choice: Choice = PLAIN) -> AsyncGenerator[tuple[Journeyman, Pilot]]:
    """The app without an engine: it shows what it is given."""
    app = Journeyman(Opening(Path.cwd()), choice)
    app.chat.talk.run = quiet
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield app, pilot
