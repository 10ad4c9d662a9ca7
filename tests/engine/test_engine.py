import os
import sqlite3
import sys
from contextlib import asynccontextmanager, closing
from datetime import datetime
from typing import Any, cast

import anyio
import pytest
from dirty_equals import IsFloat, IsInt, IsStr

from journeyman.agent.models.engine import Engine as Settings
from journeyman.agent.preflight import AGAIN
from journeyman.config import load_settings
from journeyman.engine import wire
from journeyman.engine.engine import Engine
from journeyman.engine.models import Models
from journeyman.engine.peer import MOST, Peer
from journeyman.engine.questions import Questions
from journeyman.engine.turn import Turn
from journeyman.engine.updates import Updates
from journeyman.engine.waiting import Waiting, is_kept
from journeyman.errors import ModelError, UsageError
from journeyman.traces.events import (
    ApprovalRequested,
    CallDecided,
    CallFinished,
    CallProposed,
    CandidateChosen,
    CandidateTried,
    Inside,
    RunFinished,
)
from journeyman.traces.messages import ToolCall, ToolResult
from journeyman.traces.store import Store
from tests.need import need

PATIENCE_S = 60
WRITE = {"tool": "files__write", "arguments": {"path": "out.txt", "content": "hello\n"}}


def ours(update):
    return update["_meta"]["journeyman"]


async def test_a_prompt_comes_back_as_thoughts_calls_and_words(place):
    (place.folder / "notes.txt").write_text("one two three")
    look = [{"thinking": "I must look."}, {"tool": "files__read", "arguments": {"path": "notes.txt"}}]
    async with place.engine(), place.seat() as seat:
        opened = await seat.client.new(place.folder, place.script(look, "One two three."))
        answer = await seat.client.prompt(opened["sessionId"], "What do the notes say?")
        assert answer["stopReason"] == "end_turn"
        assert [each["sessionUpdate"] for each in seat.updates()] == [
            "user_message_chunk",
            "agent_thought_chunk",
            "usage_update",
            "tool_call",
            "tool_call_update",
            "tool_call_update",
            "tool_call_update",
            "agent_message_chunk",
            "usage_update",
        ]
        assert seat.said("agent_thought_chunk") == "I must look."
        assert seat.said() == "One two three."
        [call] = seat.updates("tool_call")
        assert call == {
            "sessionUpdate": "tool_call",
            "toolCallId": "c1",
            "title": "files.read notes.txt",
            "kind": "read",
            "status": "pending",
            "rawInput": {"path": "notes.txt"},
            "locations": [{"path": str(place.folder / "notes.txt")}],
            "_meta": {"journeyman": {"seq": 4, "at": IsFloat(), "tool": "files.read"}},
        }
        decided, _, finished = seat.updates("tool_call_update")
        assert (ours(decided)["effect"], ours(decided)["rules"]) == ("allow", ["preset:built-in readers"])
        assert finished["status"] == "completed"
        assert finished["content"] == [{"type": "content", "content": {"type": "text", "text": "one two three"}}]
        assert ours(finished) == {"seq": 7, "at": IsFloat(), "status": "ok", "seconds": IsFloat(), "bytes": 13}


async def test_a_session_is_a_run_in_the_store_and_every_prompt_goes_on_with_it(place):
    async with place.engine(), place.seat() as seat:
        opened = await seat.client.new(place.folder, place.script("First.", "Second."))
        session = opened["sessionId"]
        await seat.client.prompt(session, "One?")
        await seat.client.prompt(session, "Two?")
        listed = await seat.client.sessions(place.folder)
        assert listed == {
            "sessions": [
                {
                    "sessionId": session,
                    "cwd": str(place.folder),
                    "title": "One?",
                    "updatedAt": IsStr(),
                    "_meta": {
                        "journeyman": {
                            "outcome": "answered",
                            "running": False,
                            "prompt": "One?",
                            "answer": "Second.",
                            "model": IsStr(regex="scripted:.*"),
                            "steps": 2,
                            "tokens": IsInt(gt=0),
                            "cost_usd": 0.0,
                            "reward": None,
                            "parent": None,
                        }
                    },
                }
            ]
        }
        assert (await seat.client.sessions(place.home))["sessions"] == []

    with Store.open(place.home / "data" / "runs.db") as store:
        said = [each.event for each in store.events(session) if each.event.type == "message_added"]
        assert [each.text for each in said] == ["Two?"]


async def test_another_client_may_answer_the_question_and_the_first_one_hears_of_it(place):
    async with place.engine(), place.seat() as one, place.seat() as two, anyio.create_task_group() as group:
        session = (await one.client.new(place.folder, place.script(WRITE, "Done.")))["sessionId"]
        group.start_soon(one.client.prompt, session, "Write it")
        shown = await one.asked()
        await two.client.resume(session, place.folder)
        question = await two.asked()
        assert question.ours == shown.ours
        assert question.ours["offer"].startswith("allow files.write where path = ")
        assert question.ours["sources"] == ["path 'out.txt' comes from nobody knows where"]
        assert [each["optionId"] for each in question.options] == ["once", "session", "always", "no"]
        await two.client.answer(question, "once")
        settled = await one.note(wire.SETTLED)
        assert (settled.params["token"], settled.params["approved"]) == (shown.ours["token"], True)
        await one.ended()
        assert (place.folder / "out.txt").read_text() == "hello\n"


async def test_edited_arguments_are_what_is_done(place):
    async with place.engine(), place.seat() as seat, anyio.create_task_group() as group:
        session = (await seat.client.new(place.folder, place.script(WRITE, "Done.")))["sessionId"]
        group.start_soon(seat.client.prompt, session, "Write it")
        await seat.client.answer(await seat.asked(), "once", arguments={"path": "other.txt", "content": "mine"})
        await seat.ended()
        assert (place.folder / "other.txt").read_text() == "mine"
        assert not (place.folder / "out.txt").exists()


async def test_a_refusal_says_why_to_the_model(place):
    async with place.engine(), place.seat() as seat, anyio.create_task_group() as group:
        session = (await seat.client.new(place.folder, place.script(WRITE, "As you wish.")))["sessionId"]
        group.start_soon(seat.client.prompt, session, "Write it")
        await seat.client.answer(await seat.asked(), "no", reason="not there")
        await seat.ended()
        finished = seat.updates("tool_call_update")[-1]
        assert (finished["status"], ours(finished)["status"]) == ("failed", "refused")
        assert finished["content"][-1]["content"]["text"] == "denied: not there"


async def test_a_client_that_leaves_ends_nothing_and_finds_the_question_again(place):
    async with place.engine(), place.seat() as second:
        async with place.seat() as first, anyio.create_task_group() as group:
            session = (await first.client.new(place.folder, place.script(WRITE, "Done.")))["sessionId"]
            group.start_soon(first.client.prompt, session, "Write it")
            await first.asked()
            group.cancel_scope.cancel()

        await second.client.load(session, place.folder)
        await second.client.answer(await second.asked(), "once")
        await second.ended()
        assert second.said("user_message_chunk") == "Write it"
        assert second.said() == "Done."


async def test_an_engine_that_ends_leaves_a_run_to_go_on_with(place):
    async with place.engine(), place.seat() as seat, anyio.create_task_group() as group:
        session = (await seat.client.new(place.folder, place.script(WRITE, "Done.")))["sessionId"]
        group.start_soon(seat.client.prompt, session, "Write it")
        await seat.asked()
        group.cancel_scope.cancel()

    async with place.engine(), place.seat() as seat:
        await seat.client.load(session, place.folder)
        assert seat.said("user_message_chunk") == "Write it"
        await seat.client.prompt(session, "Go on")
        [finished] = [each for each in seat.updates("tool_call_update") if "status" in each]
        assert finished["content"][-1]["content"]["text"].startswith("not done: ")
        assert seat.said() == "Done."


async def test_what_waits_when_the_engine_ends_waits_in_the_next_one_until_somebody_wants_it(place):
    async with place.engine(), place.seat() as seat, anyio.create_task_group() as group:
        session = (await seat.client.new(place.folder, place.script(WRITE, "One.", "Two.")))["sessionId"]
        group.start_soon(seat.client.prompt, session, "Write it")
        await seat.asked()
        group.start_soon(seat.client.prompt, session, "Then this")
        await seat.until(lambda each: getattr(each, "method", "") == wire.QUEUE and each.params["items"])
        group.cancel_scope.cancel()

    async with place.engine(), place.seat() as seat:
        opened = ours(await seat.client.resume(session, place.folder))
        assert ([each["text"] for each in opened["queue"]], opened["held"]) == (["Then this"], True)
        await seat.client.queue(session, resume=True)
        await seat.ended()
        assert (seat.said("user_message_chunk"), seat.said()) == ("Then this", "One.")
        assert (await seat.client.queue(session))["items"] == []


async def test_what_an_engine_was_killed_with_before_anything_was_stored_is_said_in_the_next_one(place):
    Waiting("never-stored").add(Turn("One?", None))
    async with place.engine(), place.seat() as seat:
        await seat.client.resume("never-stored", place.folder, place.script("First.", "Second."))
        await seat.client.prompt("never-stored", "Two?")
        assert (seat.said("user_message_chunk"), seat.said()) == ("One?Two?", "First.Second.")


async def test_a_prompt_waits_for_the_next_engine_until_it_is_committed(place):
    async with place.engine(), place.seat() as seat, place.seat() as other, anyio.create_task_group() as group:
        session = (await seat.client.new(place.folder, place.script("One.", "Two.")))["sessionId"]
        await other.client.load(session, place.folder)
        for prompt in ("Begin", "Go on"):
            with closing(sqlite3.connect(load_settings(root=place.folder).store)) as writer:  # another process
                writer.execute("BEGIN IMMEDIATE")
                group.start_soon(seat.client.prompt, session, prompt)
                await other.until(lambda each, text=prompt: text in str(getattr(each, "update", "")))
                assert (is_kept(session), other.said()) == (True, "One." if prompt == "Go on" else "")
                writer.rollback()

            await other.ended()
            other.heard = [each for each in other.heard if getattr(each, "method", "") != wire.TURN]
            assert not is_kept(session)


async def test_sessions_with_the_same_local_model_share_it_and_the_last_one_closes_it(place):
    need("local")
    models = Models()
    one, two = (models.make("local:starter", Settings()) for _ in range(2))
    await one.open()
    await two.open()
    pid = cast("Any", two).pid
    assert cast("Any", one).pid == pid
    await one.close()
    await one.close()
    assert (await two.open())["file"]
    await two.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_yes_to_the_other_calls_of_a_step_is_for_exactly_those_that_were_shown(place):
    def write(name):
        return {"tool": "files__write", "arguments": {"path": name, "content": name}}

    step = [write("one"), write("two"), write("three")]
    async with place.engine(), place.seat() as seat, anyio.create_task_group() as group:
        session = (await seat.client.new(place.folder, place.script(step, "Done.")))["sessionId"]
        group.start_soon(seat.client.prompt, session, "Write them")
        first = await seat.asked()
        assert [(each["id"], each["tool"], each["arguments"]["path"]) for each in first.ours["then"]] == [
            ("c1_2", "files__write", "two"),
            ("c1_3", "files__write", "three"),
        ]
        await seat.client.answer(first, "once", also=["c1_2", "c9"])
        second = await seat.asked()
        assert (second.call["toolCallId"], second.ours["then"]) == ("c1_3", [])
        await seat.client.answer(second, "no")
        await seat.ended()
        assert sorted(each.name for each in place.folder.iterdir()) == ["one", "two"]


async def test_a_question_says_whether_the_call_may_have_happened_already():
    class Refusing(Peer):
        kinds: list[str] = []

        async def ask(self, method, params):
            self.kinds.append(params["_meta"][wire.OURS]["kind"])
            return {"outcome": {"outcome": "selected", "optionId": "no"}}

    async with anyio.create_task_group() as group:
        questions = Questions("s", [Refusing()], group)
        for reason in ("no rule allows it", AGAIN):
            await questions.approve(ApprovalRequested(call_id="c1", tool="files.read", arguments={}, reason=reason))

    assert Refusing.kinds == ["call", "again"]


async def test_a_yes_to_a_call_is_none_to_another_tool_that_is_given_the_same():
    class Agreeing(Peer):
        asked: list[Any] = []

        async def ask(self, method, params):
            self.asked.append(params["toolCall"]["toolCallId"])
            also = [each["id"] for each in params["_meta"][wire.OURS]["then"]]
            return {"outcome": {"outcome": "selected", "optionId": "once"}, "_meta": {wire.OURS: {"also": also}}}

    def wanted(call_id, tool):
        return ApprovalRequested(call_id=call_id, tool=tool, arguments={"path": "b"}, token=call_id)

    calls = [ToolCall(id=each, name="files__read", arguments='{"path": "b"}') for each in ("c1", "c2", "c3")]
    async with anyio.create_task_group() as group:
        questions = Questions("s", [Agreeing()], group)
        questions.stepped(calls)
        for call_id, tool in (("c1", "files.read"), ("c2", "files.read"), ("c3", "files.delete")):
            assert (await questions.approve(wanted(call_id, tool))).approved

    assert Agreeing.asked == ["c1", "c3"]


async def test_a_session_does_without_a_server_and_with_it_again(place):
    def tools(state):
        return {each["name"].partition(".")[0] for each in state["tools"]}

    def off(state):
        return [each["name"] for each in state["servers"] if each["off"]]

    look = {"tool": "files__list", "arguments": {}}
    async with place.engine(), place.seat() as seat:
        session = (await seat.client.new(place.folder, place.script(look, "Empty.")))["sessionId"]
        await seat.client.prompt(session, "Look")
        state = await seat.client.state(session)
        [files] = [each for each in state["servers"] if each["name"] == "files"]
        assert files == {
            "name": "files",
            "transport": "builtin",
            "protocol": IsStr(min_length=1),
            "tools": IsInt(gt=5),
            "off": False,
            "calls": 1,
            "p50": IsFloat(),
            "p95": IsFloat(),
            "error": "",
            "stderr": [],
        }
        state = await seat.client.mind_server(session, "files", "off")
        assert ("files" in tools(state), off(state)) == (False, ["files"])
        state = await seat.client.mind_server(session, "files", "on")
        assert ("files" in tools(state), off(state)) == (True, [])
        with pytest.raises(UsageError, match="'nobody' cannot be switched"):
            await seat.client.mind_server(session, "nobody", "restart")


async def test_a_server_that_died_says_why_and_is_started_again(place):
    server = place.folder / "server.py"
    server.write_text(MORTAL, "utf-8")
    told = {"name": "mine", "command": sys.executable, "args": [str(server)], "env": []}
    die = {"tool": "mine__die", "arguments": {}}
    async with place.engine(), place.seat() as seat:
        opened = await seat.client.new(place.folder, place.script(die, "Gone.") | {"policy": "yolo"}, [told])
        session = opened["sessionId"]
        await seat.client.prompt(session, "Die")
        [mine] = [each for each in (await seat.client.state(session))["servers"] if each["name"] == "mine"]
        assert (mine["calls"], mine["protocol"]) == (1, "")
        assert "died during die" in mine["error"]
        state = await seat.client.mind_server(session, "mine", "restart")
        [mine] = [each for each in state["servers"] if each["name"] == "mine"]
        assert mine["protocol"]


MORTAL = """
import os, sys
from mcp.server.mcpserver import MCPServer

server = MCPServer("mine")


@server.tool()
def die() -> str:
    print("dying", file=sys.stderr, flush=True)
    os._exit(3)


server.run()
"""


def test_a_search_is_a_thought_with_what_was_tried_and_then_its_answer():
    tried = [
        CandidateTried(run_id=f"r{at}", index=at, strategy="vote(2)", outcome="answered", answer=text)
        for at, text in enumerate(("Four.", "Five."))
    ]
    chosen = CandidateChosen(run_id="r1", why="the first of two")
    updates = Updates()
    told = [each for event in (*tried, chosen) for each in updates.of(event)]
    assert told == []
    thought, said = updates.of(RunFinished(outcome="answered", answer="Five."))
    assert (said["sessionUpdate"], said["content"]["text"]) == ("agent_message_chunk", "Five.")
    assert ours(thought)["shown"] == "search"
    assert thought["content"]["text"].splitlines() == [
        "├─ candidate 0 r0 vote(2): Four. (0 tokens, price unknown, 0.0 s)",
        "└─ * candidate 1 r1 vote(2): Five. (0 tokens, price unknown, 0.0 s)",
        "chosen r1: the first of two",
    ]


async def test_an_interrupt_stops_the_turn_and_holds_up_what_waits(place):
    async with place.engine(), place.seat() as seat, anyio.create_task_group() as group:
        session = (await seat.client.new(place.folder, place.script(WRITE, "One.", "Two.")))["sessionId"]

        async def first():
            assert (await seat.client.prompt(session, "Write it"))["stopReason"] == "cancelled"

        group.start_soon(first)
        await seat.asked()
        group.start_soon(seat.client.prompt, session, "Then this")
        waiting = await seat.until(lambda each: getattr(each, "method", "") == wire.QUEUE and each.params["items"])
        assert [each["text"] for each in waiting.params["items"]] == ["Then this"]
        await seat.client.cancel(session)
        await seat.ended()
        held = await seat.client.queue(session)
        assert (held["held"], len(held["items"])) == (True, 1)
        await seat.client.queue(session, drop=held["items"][0]["id"])


async def test_steering_stops_the_turn_and_goes_on_with_the_new_words_at_once(place):
    async with place.engine(), place.seat() as seat, anyio.create_task_group() as group:
        session = (await seat.client.new(place.folder, place.script(WRITE, "Otherwise.")))["sessionId"]
        group.start_soon(seat.client.prompt, session, "Write it")
        await seat.asked()
        await seat.client.steer(session, "Do not write")
        await seat.until(lambda each: getattr(each, "kind", "") == "agent_message_chunk")
        assert "Do not write" in seat.said("user_message_chunk")


async def test_a_fork_begins_with_what_was_said_and_a_rewind_before_a_message(place):
    async with place.engine(), place.seat() as seat:
        session = (await seat.client.new(place.folder, place.script("First.", "Second.", "Third.")))["sessionId"]
        await seat.client.prompt(session, "One?")
        await seat.client.prompt(session, "Two?")
        fork = (await seat.client.fork(session, place.folder))["sessionId"]
        await seat.client.prompt(fork, "Three?")
        pages = await seat.client.history(fork)
        said = [each["content"]["text"] for each in pages["updates"] if "message_chunk" in each["sessionUpdate"]]
        assert said == ["One?", "First.", "Two?", "Second.", "Three?", "Third."]

        second = [ours(each)["seq"] for each in seat.updates("user_message_chunk") if each["content"]["text"] == "Two?"]
        rewound = await seat.client.rewind(session, second[0])
        assert rewound["prompt"] == "Two?"
        await seat.client.resume(rewound["sessionId"], place.folder)
        await seat.client.prompt(rewound["sessionId"], "Two again?")
        page = await seat.client.history(rewound["sessionId"])
        said = [each["content"]["text"] for each in page["updates"] if "message_chunk" in each["sessionUpdate"]]
        assert said == ["One?", "First.", "Two again?", "Second."]


async def test_history_comes_in_pages_from_the_end(place):
    async with place.engine(), place.seat() as seat:
        session = (await seat.client.new(place.folder, place.script("First.", "Second.")))["sessionId"]
        await seat.client.prompt(session, "One?")
        await seat.client.prompt(session, "Two?")
        whole = await seat.client.history(session)
        assert whole["before"] is None
        live = [each for each in seat.updates() if each["sessionUpdate"] != "usage_update"]
        assert [each["sessionUpdate"] for each in whole["updates"]] == [each["sessionUpdate"] for each in live]
        found, before = [], None
        while True:
            page = await seat.client.history(session, before, 3)
            found[:0] = page["updates"]
            before = page["before"]
            if before is None:
                break

        assert found == whole["updates"]


async def test_a_mode_is_another_policy_from_the_next_turn_on(place):
    async with place.engine(), place.seat() as seat:
        session = (await seat.client.new(place.folder, place.script(WRITE, "I may not.")))["sessionId"]
        await seat.client.set_mode(session, "readonly")
        await seat.client.prompt(session, "Write it")
        assert seat.updates("current_mode_update")[0]["currentModeId"] == "readonly"
        assert ours(seat.updates("tool_call_update")[0])["effect"] == "deny"
        assert (await seat.client.state(session))["mode"] == "readonly"


async def test_another_mode_knows_that_code_may_reach_hosts(place, monkeypatch):
    monkeypatch.setenv("JOURNEYMAN_SANDBOX_HOSTS", "example.org")
    code = {"tool": "code__python", "arguments": {"code": "1"}}
    async with place.engine(), place.seat() as seat:
        session = (await seat.client.new(place.folder, place.script("Hello.", code, "I may not.")))["sessionId"]
        await seat.client.prompt(session, "Hello?")
        await seat.client.set_mode(session, "readonly")
        await seat.client.prompt(session, "Run it")

    with Store.open(place.home / "data" / "runs.db") as store:
        [decided] = [each.event for each in store.own_events(session) if isinstance(each.event, CallDecided)]

    assert (decided.effect, decided.labels) == ("deny", ("internal", "external", "outsider", "private"))


async def test_another_model_answers_from_the_next_turn_on_and_one_that_is_none_changes_nothing(place):
    async with place.engine(), place.seat() as seat:
        session = (await seat.client.new(place.folder, place.script("First.", "Second.")))["sessionId"]
        await seat.client.prompt(session, "One?")
        with pytest.raises(ModelError):
            await seat.client.set_option(session, "model", "scripted:/nowhere.json")

        answered = await seat.client.set_option(session, "model", place.script("x", "Other.")["model"])
        assert answered["configOptions"][0]["currentValue"].endswith("script2.json")
        await seat.client.prompt(session, "Two?")
        assert seat.said() == "First.Other."


async def test_a_model_that_cannot_be_had_leaves_what_was_changed_meanwhile(place):
    async with lone_engine() as engine:
        given = place.script("Hello.")
        session = await engine.new(place.folder, dict(given), ())

        async def fail():
            with pytest.raises(ModelError):
                await session.set_option("model", "scripted:/nowhere.json")

        async def change():
            session.set_mode("readonly")
            await session.set_option("effort", "low")

        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as clients:
                clients.start_soon(fail)
                clients.start_soon(change)

        assert session.kit.given == {**given, "policy": "readonly", "effort": "low"}
        session.end()
        await session.over.wait()


async def test_a_turn_that_fails_says_what_and_what_to_do(place):
    async with place.engine(), place.seat() as seat:
        session = (await seat.client.new(place.folder, place.script({"error": "it broke"})))["sessionId"]
        with pytest.raises(ModelError, match="it broke") as failed:
            await seat.client.prompt(session, "One?")

        assert (failed.value.fix, failed.value.run_id) == ("The script says so.", session)
        with pytest.raises(UsageError, match="no session 'nowhere'"):
            await seat.client.prompt("nowhere", "One?")


async def test_a_model_that_cannot_be_had_fails_the_prompt_and_not_the_session(place):
    async with place.engine(), place.seat() as seat:
        session = (await seat.client.new(place.folder, {"model": "scripted:/nowhere.json"}))["sessionId"]
        with pytest.raises(ModelError, match="cannot be read"):
            await seat.client.prompt(session, "One?")

        await seat.client.set_option(session, "model", place.script("Here.")["model"])
        await seat.client.prompt(session, "One?")
        assert seat.said() == "Here."


async def test_a_spent_budget_is_asked_about(place):
    look = {"tool": "files__list", "arguments": {}}
    async with place.engine(), place.seat() as seat, anyio.create_task_group() as group:
        given = place.script(look, "Here.") | {"steps": 1}
        session = (await seat.client.new(place.folder, given))["sessionId"]
        (place.folder / "x").touch()
        group.start_soon(seat.client.prompt, session, "List")
        question = await seat.asked()
        assert question.ours["kind"] == "budget"
        await seat.client.answer(question, "once")
        await seat.ended()
        assert seat.said() == "Here."


async def test_who_follows_a_session_without_its_history_hears_what_it_has_spent(place):
    async with place.engine(), place.seat() as seat:
        session = (await seat.client.new(place.folder, place.script("First.", "Second.")))["sessionId"]
        await seat.client.prompt(session, "One?")
        await seat.client.prompt(session, "Two?")
        last = seat.updates("usage_update")[-1]

    async with place.engine(), place.seat() as later:
        await later.client.resume(session, place.folder)
        [spent] = later.updates()
        assert (ours(spent)["usage"], spent["used"]) == (ours(last)["usage"], last["used"])


async def test_who_comes_in_the_middle_of_a_turn_hears_what_it_has_said_so_far(place):
    said = [{"thinking": "Hm."}, "I will write.", WRITE]
    async with place.engine(), place.seat() as one, place.seat() as two, anyio.create_task_group() as group:
        session = (await one.client.new(place.folder, place.script(said, "Done.")))["sessionId"]
        group.start_soon(one.client.prompt, session, "Write it")
        await one.asked()
        await two.client.load(session, place.folder)
        question = await two.asked()
        assert two.updates() == one.updates()
        await two.client.answer(question, None)
        await one.ended()
        assert ours(one.updates("tool_call_update")[-1])["status"] == "refused"


@asynccontextmanager
async def lone_engine():
    """One that nobody reaches from outside."""
    async with anyio.create_task_group() as group:
        engine = Engine(group)
        yield engine
        engine.close()


async def test_clients_that_come_back_at_once_follow_one_session_and_its_end_is_not_the_engines(place):
    given = place.script("First.")
    async with place.engine(), place.seat() as seat:
        session = (await seat.client.new(place.folder, given))["sessionId"]
        await seat.client.prompt(session, "One?")

    async with lone_engine() as engine:
        found = {}

        async def come_back(peer):
            found[peer] = await engine.find(session, place.folder, given, ())
            await found[peer].follow(peer, replay=True)

        async with anyio.create_task_group() as coming:
            for peer in (Peer(), Peer(), Peer()):
                coming.start_soon(come_back, peer)

        [one] = set(found.values())
        assert set(one.followers.peers) == set(found)
        for peer in found:
            engine.leave(peer)

        with anyio.fail_after(PATIENCE_S):
            await one.over.wait()


async def test_stores_that_are_wanted_at_once_are_one(place):
    async with lone_engine() as engine:
        found = []

        async def look():
            found.append(await engine.store(place.folder, {}))

        async with anyio.create_task_group() as looking:
            for _ in range(3):
                looking.start_soon(look)

        assert found == [found[0]] * 3


async def test_who_asks_for_a_session_that_is_ending_follows_it_anew(place):
    async with place.engine(), place.seat() as seat:
        session = (await seat.client.new(place.folder, place.script("First.", "Second.")))["sessionId"]
        await seat.client.prompt(session, "One?")
        await seat.client.close(session)
        await seat.client.resume("last", place.folder)
        await seat.client.prompt(session, "Two?")
        assert seat.said() == "First.Second."


async def test_the_last_session_of_a_folder_stands_behind_those_of_others_and_says_when_it_was_last_written(
    place, monkeypatch
):
    monkeypatch.setattr("journeyman.engine.engine.LOOKED_AT", 2)
    (place.folder / "other").mkdir()
    async with place.engine(), place.seat() as seat, anyio.create_task_group() as group:
        session = (await seat.client.new(place.folder, place.script(WRITE, "Done.")))["sessionId"]
        group.start_soon(seat.client.prompt, session, "Write it")
        await seat.asked()
        for _ in range(3):
            other = (await seat.client.new(place.folder / "other", place.script("Hello.")))["sessionId"]
            await seat.client.prompt(other, "Hello?")

        with closing(sqlite3.connect(place.home / "data" / "runs.db")) as store:
            store.execute("UPDATE run SET started_at = 0")
            store.commit()
            [written] = store.execute("SELECT max(at) FROM event WHERE run_id = ?", (session,)).fetchone()

        [mine] = (await seat.client.sessions(place.folder))["sessions"]
        updated = datetime.fromisoformat(mine["updatedAt"]).timestamp()
        assert (mine["sessionId"], updated) == (session, written // 1_000_000)
        assert ours(await seat.client.resume("last", place.folder))["sessionId"] == session
        group.cancel_scope.cancel()


async def test_a_session_that_ends_with_nothing_said_in_it_is_none_to_come_back_to(place):
    async with place.engine(), place.seat() as seat:
        session = (await seat.client.new(place.folder, place.script("First.")))["sessionId"]
        await seat.client.close(session)
        with pytest.raises(UsageError, match=session):
            await seat.client.resume(session, place.folder)


async def test_a_session_does_not_end_under_a_client_that_is_still_being_told_what_was_said(place):
    given = place.script("First.")
    async with place.engine(), place.seat() as seat:
        session = (await seat.client.new(place.folder, given))["sessionId"]
        await seat.client.prompt(session, "One?")

    async with lone_engine() as engine:
        found = await engine.find(session, place.folder, given, ())
        first, slow = Peer(), Peer()
        await found.follow(first, replay=False)
        for _ in range(MOST // 20 + 1):
            slow.tell("busy", {})

        engine.group.start_soon(lambda: found.follow(slow, replay=True))
        await anyio.wait_all_tasks_blocked()
        found.leave(first)
        assert not found.ending
        slow.leave()
        with anyio.fail_after(PATIENCE_S):
            await found.over.wait()


PROGRAM = "files__write(path='out.txt', content='hello')\nfiles__read(path='out.txt')"


async def test_what_a_program_calls_is_shown_live_and_later_each_as_a_call_below_the_programs(place):
    run = {"tool": "run_program", "arguments": {"code": PROGRAM}}
    async with place.engine(), place.seat() as seat, anyio.create_task_group() as group:
        given = place.script(run, "Done.") | {"programs": True}
        session = (await seat.client.new(place.folder, given))["sessionId"]
        group.start_soon(seat.client.prompt, session, "Write it")
        question = await seat.asked()
        assert question.call["toolCallId"] == seat.updates("tool_call")[-1]["toolCallId"] == "c1.1"
        await seat.client.answer(question, "once")
        await seat.ended()
        told = [each for each in seat.updates() if "toolCallId" in each]
        page = await seat.client.history(session)
        assert [each for each in page["updates"] if "toolCallId" in each] == told

    assert [(each["toolCallId"], ours(each).get("parent"), each["title"]) for each in told if "title" in each] == [
        ("c1", None, IsStr()),
        ("c1.1", "c1", "files.write out.txt hello"),
        ("c1.2", "c1", "files.read out.txt"),
    ]
    ended = [(each["toolCallId"], ours(each)["status"]) for each in told if "status" in ours(each)]
    assert ended == [("c1.1", "ok"), ("c1.2", "ok"), ("c1", "ok")]
    assert {ours(each).get("parent") for each in told if each["toolCallId"] != "c1"} == {"c1"}


def test_a_call_that_ends_takes_down_what_it_still_had_under_way_and_a_part_of_a_run_can_be_told():
    def ended(call_id):
        return CallFinished(result=ToolResult(call_id=call_id, name="x", text="done"))

    def told(*events):
        updates = Updates()
        found = [update for event in events for update in updates.of(event)]
        return [(each["toolCallId"], ours(each).get("parent"), each["status"]) for each in found]

    first, second = (Inside(call_id="c1", event=CallProposed(call_id=f"c1.{n}", tool="x")) for n in (1, 2))
    done = Inside(call_id="c1", event=ended("c1.1"))
    assert told(first, second, done, ended("c1"), ended("c2")) == [
        ("c1.1", "c1", "pending"),
        ("c1.2", "c1", "pending"),
        ("c1.1", "c1", "completed"),
        ("c1.2", "c1", "failed"),
        ("c1", None, "completed"),
        ("c2", None, "completed"),
    ]
    assert told(done, ended("c1")) == [("c1.1", "c1", "completed"), ("c1", None, "completed")]
