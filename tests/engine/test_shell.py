"""A command of the user's own, in the real sandbox."""

import anyio
import pytest

from journeyman.engine import wire
from journeyman.engine.updates import ELSEWHERE
from journeyman.errors import UsageError
from tests.need import need


def text(said):
    return {"type": "content", "content": {"type": "text", "text": said}}


async def test_a_command_is_asked_about_and_shown_as_a_call_that_other_clients_see_too(place):
    need("native")
    (place.folder / "mine.txt").write_text("not to be seen there")
    async with place.engine(), place.seat() as seat, place.seat() as other, anyio.create_task_group() as group:
        opened = await seat.client.new(place.folder, place.script("It is elsewhere."))
        session = opened["sessionId"]
        await other.client.load(session, place.folder)
        group.start_soon(seat.client.shell, session, " test -e mine.txt || echo not here ")
        question = await other.asked()
        assert (question.ours["tool"], question.ours["arguments"]) == (
            "code.shell",
            {"command": "test -e mine.txt || echo not here"},
        )
        await other.client.answer(question, "once")
        await seat.ended()
        assert seat.said("user_message_chunk") == "!test -e mine.txt || echo not here"
        [call] = seat.updates("tool_call")
        assert (call["toolCallId"], call["title"], call["kind"]) == (
            "u0",
            "code.shell test -e mine.txt || echo not here",
            "execute",
        )
        finished = seat.updates("tool_call_update")[-1]
        assert (finished["status"], finished["content"]) == ("completed", [text(ELSEWHERE), text("not here")])
        assert seat.updates("tool_call") == other.updates("tool_call")
        answer = await seat.client.prompt(session, "Where is it?")
        assert (answer["stopReason"], seat.said()) == ("end_turn", "It is elsewhere.")

    async with place.engine(), place.seat() as seat:  # and so it is in the store
        await seat.client.load(session, place.folder)
        assert seat.updates("tool_call")[0]["title"] == "code.shell test -e mine.txt || echo not here"
        assert seat.updates("tool_call_update")[-1]["content"] == [text(ELSEWHERE), text("not here")]
        assert seat.said("user_message_chunk") == "!test -e mine.txt || echo not hereWhere is it?"


async def test_a_command_that_is_denied_or_stopped_ends_as_a_turn_does(place):
    need("native")
    async with place.engine(), place.seat() as seat, anyio.create_task_group() as group:
        session = (await seat.client.new(place.folder, place.script("Good.") | {"policy": "readonly"}))["sessionId"]
        with pytest.raises(UsageError, match="There is no command"):
            await seat.client.shell(session, "  ")

        await seat.client.shell(session, "ls")
        [denied] = [each for each in seat.updates("tool_call_update") if each.get("status") == "failed"]
        assert denied["_meta"]["journeyman"]["status"] == "denied"
        await seat.client.set_mode(session, "yolo")
        group.start_soon(seat.client.shell, session, "sleep 60")
        await seat.until(lambda each: getattr(each, "update", {}).get("status") == "in_progress")
        await seat.client.cancel(session)
        await seat.note(wire.TURN, running=False, outcome="interrupted")
        await seat.client.prompt(session, "Well?")
        assert seat.said() == "Good."
