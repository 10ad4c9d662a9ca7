"""Every screen, as text, at two sizes.

`SCREENS=write pytest tests/tui/test_screens.py` writes them anew; read what that changed.
"""

import os
import re
from pathlib import Path

import pytest

from journeyman.traces.events import CandidateChosen, CandidateScored, CandidateTried, RunFinished
from journeyman.traces.store import Store
from journeyman.tui.courses import told as course_told
from journeyman.tui.items import Edit, Planned, Question
from journeyman.tui.line import plain
from journeyman.tui.pager import Editor
from journeyman.tui.panels import Panel
from journeyman.tui.picker import Asked
from journeyman.tui.servers import Servers
from journeyman.tui.status import Spent, Status
from journeyman.tui.traces import Traces
from tests.traces.practised import attempt
from tests.traces.runs import answer, record, scored, started, step
from tests.tui.course import FOUND
from tests.tui.screen import alone, shown, until
from tests.tui.test_transcript import TALK

SCREENS = Path(__file__).parent / "screens"
STATUS = Status(
    "working", "local:qwen.gguf", "ask", 7_300, 8_192, 12_345, 678, 9_000, 0.0123, 31.0, (Spent("steps", 33, 40),)
)
QUESTION = Question(
    "q",
    "c1",
    "files.edit",
    ("files.edit", '  "path" = a.py', '  "old" = b = 2', '  "new" = b = 3'),
    '{\n  "path": "a.py",\n  "old": "b = 2",\n  "new": "b = 3"\n}',
    reason="no rule allows files.edit",
    rules=("mine",),
    sources=("path 'a.py' is what the user said",),
    offer='allow files.edit where path = "a.py"',
    edits=(Edit("a.py", "a = 1\nb = 2\n", "a = 1\nb = 3\n"),),
    then=(("c2", ("code.shell", '  "command" = make test')),),
)
STATE = {
    "mode": "ask",
    "policy": {
        "name": "ask",
        "digest": "0123456789abcdef",
        "text": '[{"tier": "user", "default": "ask", "rules": [{"effect": "deny", "id": "no-mail", "tool": ["mail.*"], '
        '"where": {"to": {"host": ["example.org"]}}, "why": "nothing leaves this house"}]}]',
    },
    "sandbox": {"backend": "native", "level": 3, "guarantees": {"network": True, "memory": False}},
    "servers": [
        {
            "name": "calc",
            "transport": "builtin",
            "protocol": "2026-07-28",
            "tools": 1,
            "calls": 3,
            "p50": 0.002,
            "p95": 1.5,
        },
        {"name": "mail", "transport": "command", "protocol": "", "tools": 1, "stderr": [], "calls": 0},
        {"name": "off", "transport": "", "protocol": "", "tools": 0, "off": True, "calls": 0},
        {
            "name": "wiki",
            "transport": "url",
            "protocol": "",
            "tools": 0,
            "calls": 1,
            "p50": 0.5,
            "p95": 0.5,
            "error": "MCP server 'wiki' died during wiki.find; the call may or may not have happened",
            "stderr": ["starting", "Traceback (most recent call last):", "ImportError: cannot import name 'Server'"],
        },
    ],
    "tools": [
        {"name": "calc.add", "description": "Add two numbers."},
        {"name": "mail.send", "description": "Send it."},
    ],
    "notices": ["MCP server 'wiki' does not answer: it exited with 1"],
}
SESSIONS = [
    {
        "sessionId": "s1",
        "updatedAt": "2026-11-22T08:00:00+00:00",
        "_meta": {
            "journeyman": {
                "prompt": "How many boats?",
                "outcome": "answered",
                "steps": 4,
                "cost_usd": 0.25,
                "reward": 1.0,
            }
        },
    },
    {"sessionId": "s2", "title": "And trains?", "_meta": {"journeyman": {"running": True, "steps": 1}}},
]


@pytest.fixture
async def store(tmp_path, monkeypatch):
    """Runs of all kinds, in the store of the settings."""
    monkeypatch.setenv("JOURNEYMAN_STORE", str(tmp_path / "runs.db"))
    with Store.open(tmp_path / "runs.db") as kept:
        await record(kept, started("How many boats?"), *step(1), *answer(), run_id="261122-080000-boats1")
        await record(kept, started("How many boats?"), *step(1), *answer(text="Four."), run_id="261122-080001-boats2")
        await record(kept, started("How many trains?"), *answer(1), scored(1.0), run_id="261122-080002-trains")
        for index, reward in enumerate((1.0, 0.0, 0.25, 0.5)):
            run = attempt(index, reward, *answer(1))
            await record(kept, *(each.event for each in run), run_id=f"261122-08001{index}-tried{index}")

        search, first, second = "261122-080020-search", "261122-080021-first0", "261122-080022-second"
        for run_id in (first, second):
            await record(kept, started("Which is best?", group=search), *answer(1), run_id=run_id)

        tried = [
            CandidateTried(run_id=run_id, index=at, strategy="best(2)", outcome="answered", answer="This.")
            for at, run_id in enumerate((first, second))
        ]
        judged = [
            CandidateScored(run_id=run_id, by="judge", score=score) for run_id, score in ((first, 0.2), (second, 0.9))
        ]
        chosen = CandidateChosen(run_id=second, why="the best score")
        ended = RunFinished(outcome="answered", answer="This.", steps=2, seconds=1.5)
        await record(kept, started("Which is best?", strategy="best(2)"), *tried, *judged, chosen, ended, run_id=search)


def same(name: str, size: tuple[int, int], text: str) -> None:
    path = SCREENS / f"{name}-{size[0]}x{size[1]}.txt"
    if os.environ.get("SCREENS") == "write":
        SCREENS.mkdir(exist_ok=True)
        path.write_text(text + "\n", "utf-8")

    assert text + "\n" == path.read_text("utf-8"), f"{path.name} is not what it was"


@pytest.mark.parametrize("size", [(120, 36), (80, 24)], ids=str)
async def test_the_conversation_and_what_stands_over_it(size, monkeypatch):  # noqa: PLR0915 - one after the other
    async with alone(size) as (app, pilot):
        chat = app.chat

        async def is_same(name: str) -> None:
            await pilot.pause()
            same(name, size, re.sub(r"/\S*tui\.toml", "tui.toml", shown(app)))

        async def state():
            return STATE

        await is_same("empty")
        chat.transcript.load(TALK)
        chat.show_status(STATUS)
        await is_same("talk")
        for key in ("ctrl+up", "ctrl+o", "ctrl+t"):
            await pilot.press(key)

        await is_same("unfolded")
        chat.waiting.tell(["and then this", "and that"], held=True)
        chat.show_word("loading qwen")
        await pilot.press(*"/co")
        await is_same("waiting")
        chat.waiting.tell([], held=False)
        chat.show_word("")
        await pilot.press("escape", "ctrl+c")
        chat.show_question(QUESTION)
        await is_same("question")
        chat.approval.action_answer("explain")
        await is_same("explained")
        editor = Editor(QUESTION, lambda _: "This is no JSON: a comma is missing")
        app.push_screen(editor)
        await pilot.pause()
        editor.action_allow()
        await is_same("editor")
        await app.pop_screen()
        app.push_screen(Asked("No, because (the model reads it; escape: do not answer yet)"))
        await is_same("refusing")
        await app.pop_screen()
        chat.settle("")
        chat.talk.is_connected = True
        monkeypatch.setattr(chat.talk, "state", state)
        for name in ("sandbox", "policy", "cost"):
            app.push_screen(Panel(name, chat))
            await until(pilot, lambda: "looking" not in shown(app))
            await is_same(name)
            await app.pop_screen()

        servers = Servers(chat)
        app.push_screen(servers)
        await until(pilot, lambda: servers.listed.count)
        await pilot.press("down", "down", "down")
        await is_same("servers")
        await pilot.press("enter")
        await is_same("server")
        await app.pop_screen()
        await app.pop_screen()
        chat.transcript.add(Planned((("active", "Look"), ("pending", "Answer"))))
        for name in ("help", "plan"):
            app.do(name, "")
            await is_same(name)
            await app.pop_screen()

        chat.feed.turns = [(1, "How many boats?"), (9, "And trains?")]
        chat.talk.modes = [{"id": "ask", "name": "ask", "description": "Ask before anything is changed."}]
        chat.talk.options = [{"id": "model", "options": [{"value": "local:starter", "name": "local:starter"}]}]
        monkeypatch.setattr(chat.talk, "sessions", sessions)
        monkeypatch.setattr("journeyman.tui.panels._ago", lambda _: "2 h")
        for name in ("rewind", "resume", "mode", "model"):
            app.do(name, "")
            await until(pilot, lambda: app.screen is not chat)
            await is_same(name)
            await pilot.press("escape")

        app.read("A result in full,\nline by line.")
        await is_same("pager")


async def test_a_key_is_for_the_server_that_is_picked_wherever_it_stands(monkeypatch):
    minded, off = [], set()

    async def state():
        return {"servers": [{"name": name, "off": name in off} for name in sorted("ab", key=lambda name: name in off)]}

    async def mind(name, do):
        minded.append((name, do))
        (off.add if do == "off" else off.discard)(name)
        return await state()

    async with alone() as (app, pilot):
        monkeypatch.setattr(app.chat.talk, "is_connected", True)
        monkeypatch.setattr(app.chat.talk, "state", state)
        monkeypatch.setattr(app.chat.talk, "mind_server", mind)
        servers = Servers(app.chat)
        app.push_screen(servers)
        await until(pilot, lambda: servers.listed.count)
        await pilot.press("o")
        await until(pilot, lambda: servers.picked.get("off"))
        await pilot.press("o")
        await until(pilot, lambda: len(minded) == 2)
        assert minded == [("a", "off"), ("a", "on")]


async def sessions():
    return SESSIONS


@pytest.mark.parametrize("size", [(120, 36), (80, 24)], ids=str)
async def test_what_was_recorded(size, store, monkeypatch):
    monkeypatch.setattr("journeyman.tui.traces.aged", lambda _: "2h")
    async with alone(size) as (app, pilot):

        async def is_same(name: str) -> None:
            await pilot.pause()
            same(name, size, shown(app))

        screen = Traces("")
        app.push_screen(screen)
        await until(pilot, lambda: screen.runs.count == 10)
        await pilot.press("space", "space")
        await is_same("traces")
        await pilot.press("d")
        await until(pilot, lambda: app.screen is not screen)
        await is_same("compared")
        await pilot.press("escape", "g")
        await until(pilot, lambda: screen.runs.count == 2)
        await is_same("groups")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is not screen)
        await is_same("search")
        await pilot.press("c")
        await until(pilot, lambda: app.screen is screen and screen.runs.groups is None and screen.runs.count == 2)
        await is_same("candidates")


@pytest.mark.parametrize("width", [116, 76])
def test_a_course_of_practice(width, tmp_path):
    (tmp_path / "1-grpo").mkdir()
    steps = [f'{{"step": {at}, "reward": {at / 10}, "kl": {0.01 * at}}}\n' for at in range(10)]
    (tmp_path / "1-grpo" / "metrics.jsonl").write_text("".join(steps), "utf-8")
    told = course_told(FOUND, tmp_path, {"k1": "What is 2 + 2?"}, width)
    same("course", (width, 0), "\n".join(plain(line).rstrip() for line in told))
