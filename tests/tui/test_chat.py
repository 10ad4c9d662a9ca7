import os
import re
import signal

import pytest
from inline_snapshot import snapshot
from textual import events

from journeyman.tui import approval
from journeyman.tui.feed import question
from journeyman.tui.items import Card, Note, Said
from journeyman.tui.pager import Arguments, Editor
from journeyman.tui.picker import Asked
from journeyman.tui.prompt import Prompt
from tests.tui.screen import alone, asks, shown, talking, timeless, until

READ = {"tool": "files__read", "arguments": {"path": "notes.txt"}}
CONTENT = "def f(x):\n    return x * 37\n"
WRITE = {"tool": "files__write", "arguments": {"path": "out.py", "content": CONTENT}}
THOUGHT = {"thinking": "I should read the file first, and then write."}
ANSWER = "The file has **24 bytes**:\n\n| what | value |\n|---|---|\n| bytes | 24 |\n"


def cards(app):
    return [item for item in app.chat.transcript.items if isinstance(item, Card)]


async def test_a_turn_with_a_thought_calls_and_an_answer(folder):
    async with talking(folder, [THOUGHT, READ], WRITE, ANSWER) as (app, pilot):
        await asks(app, pilot, "How big is it?", "waiting for you")
        screen = timeless(shown(app))
        assert screen[screen.index("May it call") : screen.index("Ask for")] == snapshot("""\
May it call files.write?
█ files.write
█   "path" = out.py
█   "content" = def f(x):
█   |     return x * 37
█   |
█ no rule allows files.write
█ s and a would keep the rule: allow files.write where path = "out.py"
█ y yes   n no   s this session   a always   N no, because …   e edit   ? why

  \
""")
        await pilot.press("y")
        await until(pilot, lambda: app.chat.status.state == "ready")
        assert timeless(shown(app)).partition("  Ask for")[0] == snapshot("""\
 ❯ How big is it?

   ▸ thought · ~11 tokens

   ● files.read  path="notes.txt"  allow · TIME · 23 B
     │ hello world
     │ second line
   ● files.write  path="out.py" content="def f(x):⏎…  ask · TIME · 31 B
        1 + def f(x):
        2 +     return x * 37
     │ wrote out.py: 2 lines, 28 bytes

   The file has 24 bytes:

   what   value
   ────────────
   bytes  24





""")
        assert (folder / "out.py").read_text("utf-8") == CONTENT
        assert [(card.tool, card.status, card.effect) for card in cards(app)] == [
            ("files.read", "ok", "allow"),
            ("files.write", "ok", "ask"),
        ]
        assert app.chat.status.budget
        assert app.chat.status.read > 0


async def test_a_no_with_a_reason_reaches_the_model_and_nothing_is_done(folder):
    async with talking(folder, WRITE, "as you like") as (app, pilot):
        await asks(app, pilot, "Write it", "waiting for you")
        await pilot.press("N")
        await until(pilot, lambda: isinstance(app.screen, Asked))
        await pilot.press(*"not now", "enter")
        await until(pilot, lambda: app.chat.status.state == "ready")
        assert not (folder / "out.py").exists()
        assert [(card.status, card.output) for card in cards(app)] == [("refused", "denied: not now")]


async def test_edited_arguments_are_what_is_done(folder):
    async with talking(folder, WRITE, "done") as (app, pilot):
        await asks(app, pilot, "Write it", "waiting for you")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Editor))
        editor = app.screen.query_one(Arguments)
        editor.text = "{"
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert "This is no JSON" in shown(app)
        editor.text = '{"path": "other.py", "content": "x = 1\\n"}'
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.chat.status.state == "ready")
        assert (folder / "other.py").read_text("utf-8") == "x = 1\n"
        assert not (folder / "out.py").exists()


async def test_a_file_that_is_mentioned_is_sent_under_the_name_that_tools_know(folder):
    async with talking(folder, "two") as (app, pilot):
        await asks(app, pilot, "How many lines does @notes.txt have, @you? And @notes.txt?")
        assert app.chat.transcript.items[0] == Said("user", "How many lines does notes.txt have, @you? And notes.txt?")


async def test_arguments_are_edited_once_and_only_while_they_are_asked_about(folder):
    async with talking(folder, WRITE, "done") as (one, pilot):
        await asks(one, pilot, "Write it", "waiting for you")
        question = one.chat.approval.questions[0]
        for _ in range(3):
            one.edit(question)

        await until(pilot, lambda: isinstance(one.screen, Editor))
        assert len(one.screen_stack) == 2
        async with talking(folder, session=one.chat.talk.session_id) as (other, second):
            await until(second, lambda: other.chat.approval.questions)
            await second.press("n")
            await until(pilot, lambda: one.screen is one.chat)

        one.edit(question)
        one.refuse(question)
        assert one.screen is one.chat
        await until(pilot, lambda: one.chat.status.state == "ready")


async def test_why_it_is_asked_and_what_a_lasting_yes_would_allow(folder):
    async with talking(folder, WRITE, "done") as (app, pilot):
        await asks(app, pilot, "Write it", "waiting for you")
        await pilot.press("question_mark")
        await until(pilot, lambda: "s and a would keep the rule: allow files.write where path" in shown(app))
        assert "path 'out.py' comes from" in shown(app)
        await pilot.press("s")
        await until(pilot, lambda: app.chat.status.state == "ready")
        assert (folder / "out.py").exists()


async def test_why_it_is_asked_where_no_rule_is_about_it(folder):
    async with talking(folder, {"tool": "code__python", "arguments": {"code": "1"}}, "done") as (app, pilot):
        await asks(app, pilot, "Run it", "waiting for you")
        await pilot.press("question_mark")
        await until(pilot, lambda: "rules: none is about it, and then the policy has it asked" in shown(app))
        await pilot.press("n")
        await until(pilot, lambda: app.chat.status.state == "ready")


@pytest.mark.parametrize(("kind", "told"), [("call", True), ("again", False), ("budget", False)])
async def test_only_a_call_that_the_policy_asks_about_is_said_to_be_so(kind, told):
    async with alone() as (app, pilot):
        ours = {"kind": kind, "tool": "code.python", "arguments": {"code": "1"}, "reason": "Once more?"}
        app.chat.show_question(question("q", {"toolCallId": "c1"}, ours))
        app.chat.approval.action_answer("explain")
        await until(pilot, lambda: "Once more?" in shown(app))
        assert ("none is about it" in shown(app)) == told


async def test_a_key_that_was_meant_for_the_prompt_answers_nothing(folder, monkeypatch):
    monkeypatch.setattr(approval, "GRACE_S", 60.0)
    async with talking(folder, WRITE, "done") as (app, pilot):
        await asks(app, pilot, "Write it", "waiting for you")
        await pilot.press("y", "e", "s")
        await pilot.click("#answers", offset=(2, 0))
        await pilot.pause()
        assert app.chat.status.state == "waiting for you"
        assert app.chat.prompt.text == "yes"
        assert not (folder / "out.py").exists()
        await pilot.press("escape")
        await until(pilot, lambda: app.chat.status.state == "ready")


@pytest.mark.parametrize("text", ["Try it in another way please", "yes", "always do", "s  a", "n\u0301o", "NYaye?e"])
async def test_words_typed_at_a_question_are_for_the_prompt_and_are_sent_on_enter(folder, monkeypatch, text):
    monkeypatch.setattr(approval, "HOLD_S", 60.0)
    async with talking(folder, WRITE, "done", "second") as (app, pilot):
        await asks(app, pilot, "Write it", "waiting for you")
        for letter in text:  # all at once, faster than any of them is looked at
            app.post_message(events.Key("upper_y" if letter == "Y" else letter, letter))

        await until(pilot, lambda: app.chat.prompt.text == text)
        assert app.chat.status.state == "waiting for you"
        await pilot.press("enter")
        await until(pilot, lambda: [each["text"] for each in app.chat.talk.queue] == [text])
        assert not (folder / "out.py").exists()
        monkeypatch.setattr(approval, "HOLD_S", 0.001)
        await pilot.press("y")
        await until(pilot, lambda: app.chat.status.state == "ready")
        assert (folder / "out.py").exists()


async def test_what_is_pasted_at_a_question_is_for_the_prompt(folder):
    async with talking(folder, WRITE, "done") as (app, pilot):
        await asks(app, pilot, "Write it", "waiting for you")
        app.post_message(events.Paste("a\r\nb"))
        await until(pilot, lambda: app.chat.prompt.text == "a\nb")
        await pilot.press("y")
        await pilot.pause(0.05)
        assert app.chat.prompt.text == "a\nby"
        assert app.chat.status.state == "waiting for you"
        await pilot.press("escape")
        await until(pilot, lambda: app.chat.status.state == "ready")


async def test_what_is_said_meanwhile_waits_and_can_be_taken_back(folder):
    async with talking(folder, WRITE, "done", "second") as (app, pilot):
        await asks(app, pilot, "Write it", "waiting for you")
        app.chat.prompt.focus()
        for text in ("and then this", "and that"):
            app.chat.prompt.set(text)
            await pilot.press("enter")
            await until(pilot, lambda text=text: text in [each["text"] for each in app.chat.talk.queue])

        assert "» and then this" in shown(app)
        await pilot.press("up")
        await until(pilot, lambda: app.chat.prompt.text == "and that")
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not app.chat.prompt.text)
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not app.chat.talk.queue)
        assert "»" not in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.chat.status.state == "ready")


async def test_escape_stops_the_turn_and_the_session_goes_on(folder):
    async with talking(folder, WRITE, "after all") as (app, pilot):
        await asks(app, pilot, "Write it", "waiting for you")
        await pilot.press("escape")
        await until(pilot, lambda: app.chat.status.state == "ready")
        assert "interrupted" in shown(app)
        assert not app.chat.approval.display
        await asks(app, pilot, "Go on")
        assert app.chat.transcript.items[-1] == Said("assistant", "after all")


async def test_rewinding_gives_back_the_words_and_a_session_that_ends_before_them(folder, monkeypatch):
    monkeypatch.setattr("journeyman.tui.chat.TWICE_S", 60.0)  # a busy machine is slow to type
    async with talking(folder, "first answer", "second answer") as (app, pilot):
        await asks(app, pilot, "first question")
        await asks(app, pilot, "second question")
        before = app.chat.talk.session_id
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert "files stay as they are" in shown(app)
        await pilot.press("down", "up", "enter")
        await until(pilot, lambda: app.chat.prompt.text == "second question")
        assert app.chat.talk.session_id != before
        assert "first answer" in shown(app)
        assert "second answer" not in shown(app)


async def test_sessions_are_picked_by_what_was_said(folder):
    async with talking(folder, "about boats") as (app, pilot):
        await asks(app, pilot, "Tell me of boats")

    async with talking(folder, "about trains") as (app, pilot):
        await asks(app, pilot, "Tell me of trains")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "Tell me of boats" in shown(app))
        await pilot.press(*"boats")
        await pilot.pause()
        assert "trains" not in shown(app).split("Sessions")[1]
        await pilot.press("enter")
        await until(pilot, lambda: "about boats" in shown(app))
        assert "about trains" not in shown(app)


async def test_a_fork_begins_with_all_that_was_said(folder):
    async with talking(folder, "one", "two") as (app, pilot):
        await asks(app, pilot, "first")
        before = app.chat.talk.session_id
        app.chat.prompt.set("/fork")
        await pilot.press("enter")
        await pilot.press("enter")
        await until(pilot, lambda: app.chat.talk.session_id != before and app.chat.transcript.items)
        assert Said("assistant", "one") in app.chat.transcript.items


async def test_shift_tab_changes_the_policy(folder):
    async with talking(folder, WRITE, "done") as (app, pilot):
        assert app.chat.status.mode == "ask"
        modes = [mode["id"] for mode in app.chat.talk.modes]
        await pilot.press("shift+tab")
        await until(pilot, lambda: app.chat.status.mode == modes[(modes.index("ask") + 1) % len(modes)])
        assert app.chat.status.mode in shown(app)


async def test_two_screens_share_a_question(folder):
    async with talking(folder, WRITE, "done") as (one, pilot):
        await asks(one, pilot, "Write it", "waiting for you")
        async with talking(folder, session=one.chat.talk.session_id) as (other, second):
            await until(second, lambda: other.chat.approval.questions)
            await second.press("y")
            await until(pilot, lambda: not one.chat.approval.questions)
            await until(pilot, lambda: one.chat.status.state == "ready")
            assert (folder / "out.py").exists()


async def test_what_is_said_while_the_engine_stands_still_is_not_lost(folder, engine):
    async with talking(folder, "one", "two") as (app, pilot):
        await asks(app, pilot, "first")
        session = app.chat.talk.session_id
        os.kill(engine.pid, signal.SIGSTOP)  # it says nothing, and nothing breaks
        app.chat.prompt.set("second")
        await pilot.press("enter")
        await pilot.pause()
        os.kill(engine.pid, signal.SIGCONT)
        await until(pilot, lambda: Said("assistant", "two") in app.chat.transcript.items)
        assert app.chat.talk.session_id == session


async def test_a_question_of_a_killed_engine_vanishes_and_what_waited_is_kept(folder, mortal):
    engine, place = mortal
    async with talking(folder, WRITE, "done", socket=place) as (app, pilot):
        await asks(app, pilot, "Write it", "waiting for you")
        await pilot.press(*"more", "enter")
        await until(pilot, lambda: app.chat.talk.queue)
        engine.kill()
        await until(pilot, lambda: app.chat.status.state == "gone")
        assert not app.chat.approval.questions
        assert "» more" in shown(app)
        await pilot.press("y")
        assert app.chat.prompt.text == "y"


async def test_what_is_cut_from_a_question_says_so_and_can_be_reached(folder):
    long = {"tool": "files__write", "arguments": {"path": "out.py", "content": "\n".join(map(str, range(9)))}}
    async with talking(folder, long, "done", size=(40, 12)) as (app, pilot):
        await asks(app, pilot, "Write it", "waiting for you")
        assert re.search("↓ 1?[0-9] more lines   y yes", shown(app))
        await pilot.press(*["down"] * 12)
        await until(pilot, lambda: re.search("↑ 1?[0-9] more lines   y yes", shown(app)))
        assert "no rule allows" in shown(app)
        await pilot.press("n")
        await until(pilot, lambda: app.chat.status.state == "ready")


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (40, 12)], ids=str)
async def test_every_size_has_room_for_a_question_and_its_answers(folder, size):
    async with talking(folder, WRITE, "done", size=size) as (app, pilot):
        await asks(app, pilot, "Write it", "waiting for you")
        screen = shown(app)
        assert max(map(len, screen.splitlines())) <= size[0]
        assert len(screen.splitlines()) <= size[1]
        assert "files.write" in screen
        assert "y yes" in screen
        await pilot.press("y")
        await until(pilot, lambda: app.chat.status.state == "ready")
        assert isinstance(app.focused, Prompt)


async def test_a_session_that_cannot_be_opened_is_not_called_ready_until_it_can(folder):
    async with talking(folder, model="local:gone.gguf") as (app, pilot):
        await until(pilot, lambda: app.chat.status.state == "not ready")
        [note] = [item for item in app.chat.transcript.items if isinstance(item, Note)]
        assert (note.kind, "There is no model file" in note.text) == ("error", True)
        (folder / "script.json").write_text('["Here."]')
        app.chat.command(f"model scripted:{folder}/script.json")
        await until(pilot, lambda: app.chat.status.state == "ready")


@pytest.mark.parametrize("way", ["another mode", "another screen"])
async def test_a_session_is_ready_again_whoever_mends_it(folder, way):
    async with talking(folder, model=f"scripted:{folder}/script.json") as (app, pilot):
        await until(pilot, lambda: app.chat.status.state == "not ready")
        (folder / "script.json").write_text('["Here."]')
        if way == "another mode":
            await app.chat.talk.set_mode("readonly")
        else:
            async with talking(folder, session=app.chat.talk.session_id) as (other, _):
                await other.chat.talk.set_option("think", "on")

        await until(pilot, lambda: app.chat.status.state == "ready")
        assert app.chat.transcript.items[-1] == Note("good", "The session is open now.")


async def test_what_an_exclamation_mark_means_is_shown_beside_what_the_engine_says():
    async with alone() as (app, pilot):
        app.chat.show_word("loading qwen")
        await pilot.press("!")
        await until(pilot, lambda: "it sees a folder of its own" in shown(app) and "loading qwen" in shown(app))
        app.chat.show_word("")
        await until(pilot, lambda: "loading qwen" not in shown(app))
        assert "it sees a folder of its own" in shown(app)


async def test_an_exclamation_mark_runs_a_command_of_ones_own(folder):
    async with talking(folder, "You saw it.", policy="readonly") as (app, pilot):
        await pilot.press("!")
        await until(pilot, lambda: "it sees a folder of its own, not yours" in shown(app))
        await pilot.press("backspace")
        await until(pilot, lambda: "it sees a folder of its own, not yours" not in shown(app))
        await asks(app, pilot, "!date")
        assert [(card.call_id, card.tool, card.arguments, card.status) for card in cards(app)] == [
            ("u0", "code.shell", 'command="date"', "denied")
        ]
        await asks(app, pilot, "!!")
        assert [item for item in app.chat.transcript.items if isinstance(item, Said)] == [
            Said("user", "!date"),
            Said("user", "!!"),
            Said("assistant", "You saw it."),
        ]


async def test_an_engine_that_is_killed_is_told_of_once_and_the_session_goes_on(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path / "home"))  # an engine of its own
    async with talking(folder, WRITE, "As you wish.") as (app, pilot):
        await asks(app, pilot, "Write it", "waiting for you")
        session = app.chat.talk.session_id
        os.kill(app.chat.talk.client.agent["agentInfo"]["_meta"]["journeyman"]["pid"], signal.SIGKILL)
        await until(pilot, lambda: app.chat.status.state == "gone")
        assert [item.text for item in app.chat.transcript.items if isinstance(item, Note)] == [
            "The engine is gone; the session is stored.\nWrite on to start another."
        ]
        assert not app.chat.approval.questions
        assert cards(app)[0].status == "not done"
        app.chat.prompt.set("Never mind")
        await pilot.press("enter")
        await until(pilot, lambda: Said("assistant", "As you wish.") in app.chat.transcript.items, 60)
        assert app.chat.talk.session_id == session
        assert [said for _, said in app.chat.feed.turns] == ["Write it", "Never mind"]
        assert not (folder / "out.py").exists()
        await app.chat.talk.client.stop()
