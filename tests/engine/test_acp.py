"""The protocol as others see it: the SDK's own client and models, and the handshake that ACP's registry asks for."""

import json
import os
import subprocess
import sys
from typing import Any, cast

import anyio
from acp import schema
from acp.stdio import spawn_agent_process

from journeyman.engine.agent import said

WRITE = {"tool": "files__write", "arguments": {"path": "out.txt", "content": "hello\n"}}
PLAN = {"tool": "update_plan", "arguments": {"steps": ["Look", "Write"], "done": 1}}
COMMAND = [sys.executable, "-m", "journeyman", "serve", "--acp"]


class Editor:
    """A client that is not ours."""

    def __init__(self):
        self.updates = []
        self.asked = []

    async def session_update(self, session_id, update, **_):
        self.updates.append(update)

    async def request_permission(self, session_id, tool_call, options, **_):
        self.asked.append((tool_call, options))
        return schema.RequestPermissionResponse(outcome={"outcome": "selected", "optionId": options[0].option_id})

    def on_connect(self, conn):
        pass


async def test_the_sdks_own_client_holds_a_conversation_over_standard_input_and_output(place):
    given = place.script([{"thinking": "Hm."}, PLAN, WRITE], "Written.", "Again.")
    editor: Any = Editor()
    environment = {**os.environ, "JOURNEYMAN_MODEL": given["model"]}
    spawned = spawn_agent_process(editor, *COMMAND, env=environment, use_unstable_protocol=True)
    async with cast("Any", spawned) as (agent, process):
        hello = await agent.initialize(protocol_version=1)
        assert (hello.agent_info.name, hello.agent_capabilities.load_session) == ("journeyman", True)
        opened = await agent.new_session(cwd=str(place.folder), mcp_servers=[])
        assert opened.modes.current_mode_id == "ask"
        said = [schema.TextContentBlock(type="text", text="Write it")]
        answer = await agent.prompt(session_id=opened.session_id, prompt=said)
        assert answer.stop_reason == "end_turn"
        assert answer.usage.total_tokens > 0
        kinds = [each.session_update for each in editor.updates]
        assert "user_message_chunk" not in kinds  # it shows what it sent by itself
        assert {"agent_thought_chunk", "plan", "tool_call", "agent_message_chunk", "usage_update"} <= set(kinds)
        [(call, options)] = editor.asked
        assert call.title == "files.write out.txt hello"
        assert [each.kind for each in options] == ["allow_once", "allow_always", "allow_always", "reject_once"]
        assert (place.folder / "out.txt").read_text() == "hello\n"

        await agent.set_session_mode(session_id=opened.session_id, mode_id="readonly")
        forked = await agent.fork_session(session_id=opened.session_id, cwd=str(place.folder))
        answer = await agent.prompt(session_id=forked.session_id, prompt=said)
        assert editor.updates[-2].content.text == "Again."
        listed = await agent.list_sessions(cwd=str(place.folder))
        assert {each.session_id for each in listed.sessions} == {opened.session_id, forked.session_id}
        await agent.close_session(session_id=forked.session_id)
        process.stdin.close()
        with anyio.fail_after(50):
            assert await process.wait() == 0


async def test_what_is_sent_is_what_the_protocols_models_say(place):
    look = [{"thinking": "Hm."}, {"tool": "files__edit", "arguments": {"path": "a", "old": "x", "new": "y"}}]
    (place.folder / "a").write_text("x")
    async with place.engine(), place.seat() as seat:
        opened = await seat.client.new(place.folder, place.script(PLAN, look, "Done."))
        await seat.client.set_mode(opened["sessionId"], "yolo")
        answer = await seat.client.prompt(opened["sessionId"], "Do it")
        for update in seat.updates():
            told = schema.SessionNotification.model_validate({"sessionId": "s", "update": update})
            assert told.model_dump(mode="json", by_alias=True, exclude_none=True)["update"] == update

        for model, sent in (
            (schema.InitializeResponse, seat.client.agent),
            (schema.NewSessionResponse, opened),
            (schema.PromptResponse, answer),
            (schema.ListSessionsResponse, await seat.client.sessions()),
        ):
            read = model.model_validate(sent).model_dump(mode="json", by_alias=True, exclude_unset=True)
            assert read == sent


def test_a_linked_file_stands_apart_from_the_words_around_it():
    link = schema.ResourceContentBlock(type="resource_link", uri="file:///a/notes.txt", name="notes.txt")
    words = [schema.TextContentBlock(type="text", text=text) for text in ("How long is", "see ")]
    assert said([words[0], link]) == "How long is /a/notes.txt"
    assert said([words[1], link]) == "see /a/notes.txt"


async def test_a_clients_own_mcp_server_is_offered_and_asked_about(place):
    server = place.folder / "server.py"
    server.write_text(SERVER, "utf-8")
    told = {"name": "mine", "command": sys.executable, "args": [str(server)], "env": []}
    call = {"tool": "mine__greet", "arguments": {"name": "Ada"}}
    async with place.engine(), place.seat() as seat, anyio.create_task_group() as group:
        opened = await seat.client.new(place.folder, place.script(call, "Done."), [told])
        group.start_soon(seat.client.prompt, opened["sessionId"], "Greet Ada")
        await seat.client.answer(await seat.asked(), "once")
        await seat.ended()
        finished = seat.updates("tool_call_update")[-1]
        assert finished["content"][0]["content"]["text"] == "Hello, Ada"


def test_the_registrys_handshake_finds_a_way_to_authenticate(tmp_path):
    asked = {
        "protocolVersion": 1,
        "clientInfo": {"name": "validator", "version": "1.0.0"},
        "clientCapabilities": {"terminal": True, "_meta": {"terminal-auth": True}},
    }
    done = subprocess.run(
        COMMAND,
        input=json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": asked}) + "\n",
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        check=True,
        env={**os.environ, "HOME": str(tmp_path), "TERM": "dumb"},
    )
    [line] = done.stdout.splitlines()
    assert {each["type"] for each in json.loads(line)["result"]["authMethods"]} == {"terminal"}


SERVER = """
from mcp.server.mcpserver import MCPServer

server = MCPServer("mine")


@server.tool()
def greet(name: str) -> str:
    return f"Hello, {name}"


server.run()
"""
