"""The app in a test: what stands on its screen, as text."""

import json
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from textual.pilot import Pilot

from journeyman.tui.app import Journeyman
from journeyman.tui.choice import Choice
from journeyman.tui.opening import Opening

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


@asynccontextmanager
async def talking(
    folder: Path,
    *steps: Any,
    size: tuple[int, int] = (80, 24),
    session: str = "",
    socket: Path | None = None,
    **settings: Any,
) -> AsyncGenerator[tuple[Journeyman, Pilot]]:
    """The app with the engine of this test run, whose model plays `steps`."""
    if steps:
        script = folder.parent / f"{folder.name}-{len(steps)}-{abs(hash(str(steps)))}.json"
        script.write_text(json.dumps(steps), "utf-8")
        settings["model"] = f"scripted:{script}"

    app = Journeyman(Opening(folder, session, settings, socket), PLAIN)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.chat.status.state != "starting")
        yield app, pilot


async def until(pilot: Pilot, true: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for the screen to come to something."""
    with anyio.fail_after(seconds):
        while not true():
            await pilot.pause(0.02)

    await pilot.pause()


async def asks(app: Journeyman, pilot: Pilot, text: str, state: str = "ready") -> None:
    """Say something, and wait for the end of the turn, or for a question."""
    turns = len(app.chat.feed.turns)
    app.chat.prompt.set(text)
    await pilot.press("enter")
    await until(pilot, lambda: len(app.chat.feed.turns) > turns and app.chat.status.state == state)


def timeless(text: str) -> str:
    """A screen without the times on it, which are others each time."""
    text = re.sub(r" *\w{0,4}…(?= +(?:allow|ask|deny))", "…", text)  # cut to the room that a time leaves
    text = re.sub(r"(tokens) · \d+\.\d s\b", r"\1", text)
    return re.sub(r" +((?:allow|ask|deny)[^\n]*?· )\d+(?:\.\d+)? m?s\b", r"  \1TIME", text)
