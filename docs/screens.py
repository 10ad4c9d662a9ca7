"""Pictures of the terminal UI, made by playing a script: `uv run python -m docs.screens` writes docs/screens/*.svg."""
# ruff: noqa: INP001 - a script

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from textual.pilot import Pilot

from journeyman.errors import Disconnected
from journeyman.tui.app import Journeyman
from journeyman.tui.choice import Choice
from journeyman.tui.opening import Opening

OUT = Path(__file__).parent / "screens"
SIZE = (110, 32)
NOTES = "Rent a boat on Saturday.\nAsk Ada for the charts.\nThe harbour office opens at nine.\n"
CODE = "def total(boats):\n    return sum(boat.price for boat in boats)\n"
STEPS = [
    [
        {"thinking": "The plan is in notes.txt. I read it before I answer, and keep the sum in a file."},
        {"tool": "files__read", "arguments": {"path": "notes.txt"}},
    ],
    {"tool": "calculator__calculate", "arguments": {"expression": "3 * 45 + 20"}},
    {"tool": "files__write", "arguments": {"path": "total.py", "content": CODE}},
    "Three boats for a day come to **155**:\n\n| what | price |\n|---|---|\n| boats | 3 x 45 |\n| charts | 20 |\n\n"
    "The sum is in `total.py`:\n\n```python\n" + CODE + "```\n",
]


async def until(pilot: Pilot, true: Callable[[], object]) -> None:
    with anyio.fail_after(60):
        while not true():
            await pilot.pause(0.05)

    await pilot.pause(0.6)


async def main() -> None:
    """Play it, and write a picture of each screen."""
    OUT.mkdir(exist_ok=True)
    with TemporaryDirectory() as scratch:
        os.environ["JOURNEYMAN_HOME"] = f"{scratch}/home"
        folder = Path(scratch) / "work"
        folder.mkdir()
        (folder / "notes.txt").write_text(NOTES, "utf-8")
        script = Path(scratch) / "boats.json"
        script.write_text(json.dumps(STEPS), "utf-8")
        await play(folder, script)


async def play(folder: Path, script: Path) -> None:
    app = Journeyman(Opening(folder, settings={"model": f"scripted:{script}"}), Choice(theme="journeyman-dark"))
    async with app.run_test(size=SIZE) as pilot:

        async def picture(name: str) -> None:
            drawn = app.export_screenshot(title="journeyman")
            drawn = re.sub(r"@font-face \{[^}]*\}\s*", "", drawn).replace("Fira Code", "DejaVu Sans Mono, monospace")
            (OUT / f"{name}.svg").write_text(drawn, "utf-8")  # nothing in it is fetched

        await until(pilot, lambda: app.chat.status.state == "ready")
        app.chat.prompt.set("What do three boats cost? Keep the sum in a file.")
        await pilot.press("enter")
        await until(pilot, lambda: app.chat.status.state == "waiting for you")
        await pilot.press("question_mark")
        await pilot.pause(0.2)
        await picture("question")
        await pilot.press("y")
        await until(pilot, lambda: app.chat.status.state == "ready")
        await picture("answer")
        for key, name in (("f1", "keys"), ("f2", "servers"), ("f3", "policy"), ("f4", "traces")):
            await pilot.press(key)
            await pilot.pause(3)
            await picture(name)
            await pilot.press("escape")

        with suppress(Disconnected):  # it may be gone before it has answered
            await app.chat.talk.client.stop()


if __name__ == "__main__":
    anyio.run(main)
