"""What is said on the standard streams, beside what the MCP SDK says to the same messages."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.stdio import stdio_server
from pydantic import BaseModel

from journeyman.errors import ToolError
from journeyman.mcp_servers import talk
from journeyman.mcp_servers.base import ToolServer
from journeyman.mcp_servers.talk import Talk
from journeyman.mcp_servers.toolset import Files, Reply, Toolset, hints, progress

Json = dict[str, Any]
META = "io.modelcontextprotocol/"
MODERN = {
    f"{META}protocolVersion": "2026-07-28",
    f"{META}clientCapabilities": {},
    f"{META}clientInfo": {"name": "x", "version": "1"},
}
INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class Sum(BaseModel):
    sum: int


def tools() -> Toolset:
    def add(a: int, b: int = 1, *, numbers: list[float] | None = None) -> Reply:
        """Add two numbers"""
        if a < 0:
            raise ToolError("only numbers from 0 up")

        return Reply(f"{a + b} \N{SNOWMAN}", Sum(sum=a + b))

    def count(to: int) -> str:
        """Count, and tell how far"""
        for number in range(to):
            progress(number + 1, to, f"at {number + 1}")

        return "done"

    async def wait() -> str:
        """Never end"""
        await anyio.sleep_forever()
        return ""

    async def fail() -> str:
        """Have a fault"""
        raise ZeroDivisionError

    async def read(path: str) -> bytes:
        if path == "gone":
            raise ToolError("no such file: gone")

        return b"\xff\x00" if path == "blob" else f"text of {path}".encode()

    made = Toolset("test", "For tests.")
    made.offer(add, hints(read_only=True), Sum)
    for tool in (count, wait, fail):
        made.offer(tool, hints())

    made.files = Files("made", "A file that was made", "made:///", read)
    return made


class Ends:
    """Both ends of a client, in memory."""

    def __init__(
        self, into: MemoryObjectSendStream[str], said: MemoryObjectReceiveStream[str], done: Callable[[], None]
    ) -> None:
        self._into, self._said, self.done = into, said, done

    async def say(self, *messages: Json | str) -> None:
        for message in messages:
            await self._into.send((message if isinstance(message, str) else json.dumps(message)) + "\n")

    async def hear(self) -> Json:
        with anyio.fail_after(20):
            return json.loads(await self._said.receive())

    async def crowd(self, most: int) -> int:
        """Ask on and hear nothing; how many questions were taken."""
        for number in range(0, most, 100):
            for each in range(number, number + 100):
                try:
                    self._into.send_nowait(json.dumps(modern("tools/list")[0] | {"id": each}) + "\n")
                except anyio.WouldBlock:
                    return each

            await anyio.wait_all_tasks_blocked()

        return most

    def leave(self) -> None:
        self._into.close()


class Out:
    def __init__(self, said: MemoryObjectSendStream[str]) -> None:
        self._said = said

    async def write(self, text: str) -> None:
        await self._said.send(text)

    async def flush(self) -> None: ...


@asynccontextmanager
async def talking(kind: str) -> AsyncGenerator[Ends]:
    """With ours or, over the same streams, with the SDK's."""
    into, lines = anyio.create_memory_object_stream[str](100)
    said, out = anyio.create_memory_object_stream[str](100)
    streams: Any = lines, Out(said)

    async def run() -> None:
        if kind == "ours":
            await Talk(tools()).run(*streams)
            return

        server = ToolServer.of(tools())._lowlevel_server
        async with stdio_server(stdin=streams[0], stdout=streams[1]) as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())

    with into, lines, said, out:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            yield Ends(into, out, tasks.cancel_scope.cancel)
            into.close()


def legacy(method: str, params: Json | None = None, at: int | str = 5) -> list[Json]:
    asked = {"jsonrpc": "2.0", "id": at, "method": method} | ({} if params is None else {"params": params})
    return [{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}, READY, asked]


def modern(method: str, params: Json | None = None, /, **meta: Any) -> list[Json]:
    asked = {"_meta": {key: each for key, each in {**MODERN, **meta}.items() if each is not None}}
    return [{"jsonrpc": "2.0", "id": 5, "method": method, "params": {**(params or {}), **asked}}]


CALL = {"name": "add", "arguments": {"a": 2}}
ASKED: dict[str, tuple[str, Json | None]] = {
    "list": ("tools/list", {}),
    "list without params": ("tools/list", None),
    "call": ("tools/call", CALL),
    "call with a text for a number": ("tools/call", {"name": "add", "arguments": {"a": "2"}}),
    "call without arguments": ("tools/call", {"name": "add"}),
    "call with a wrong argument": ("tools/call", {"name": "add", "arguments": {"c": 2}}),
    "call that is refused": ("tools/call", {"name": "add", "arguments": {"a": "x"}}),
    "call of no tool": ("tools/call", {"name": "subtract", "arguments": {}}),
    "call of what is no name": ("tools/call", {"name": 3}),
    "call with what are no arguments": ("tools/call", {"name": "add", "arguments": [1]}),
    "templates": ("resources/templates/list", {}),
    "resources": ("resources/list", {}),
    "text": ("resources/read", {"uri": "made:///a.txt"}),
    "bytes": ("resources/read", {"uri": "made:///blob"}),
    "ping": ("ping", None),
    "no method": ("tools/forget", {}),
    "a method that is not offered": ("logging/setLevel", {"level": "info"}),
    "a method of the other era": ("server/discover", {}),
}


@pytest.mark.parametrize("era", [legacy, modern])
@pytest.mark.parametrize("name", ASKED)
async def test_what_the_sdk_answers_is_answered(era: Callable[..., list[Json]], name: str) -> None:
    ours, theirs = await both(era(*ASKED[name]))
    assert ours == theirs


@pytest.mark.parametrize(
    "messages",
    [
        [
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "initialize",
                "params": {**INITIALIZE, "protocolVersion": "1999-01-01"},
            }
        ],
        [{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}],
        [{"jsonrpc": "2.0", "id": 1, "method": "initialize"}],
        [{"jsonrpc": "2.0", "id": "a", "method": "tools/list"}],
        [{"jsonrpc": "2.0", "id": "a", "method": "ping"}],
        [*legacy("ping"), *modern("tools/list")],
        [*modern("tools/list"), *legacy("tools/list")[:1]],
        modern("tools/list", **{f"{META}protocolVersion": "2027-01-01"}),
        modern("tools/list", **{f"{META}protocolVersion": 3}),
        modern("tools/list", **{f"{META}clientCapabilities": None}),
        [*modern("tools/list"), {"jsonrpc": "2.0", "id": 6, "method": "tools/list"}],
    ],
)
async def test_a_wrong_word_is_refused_as_the_sdk_refuses_it(messages: list[Json]) -> None:
    ours, theirs = await both(messages)
    assert [(told(each), each["id"]) for each in ours] == [(told(each), each["id"]) for each in theirs]


def told(answer: Json) -> Json:
    """The result, or what a program reads of an error."""
    return (
        answer["result"]
        if "result" in answer
        else {key: each for key, each in answer["error"].items() if key in {"code", "data"}}
    )


async def both(messages: list[Json]) -> tuple[list[Json], list[Json]]:
    """What ours answers and what the SDK does, in the order of the questions."""
    heard = []
    for kind in ("ours", "sdk"):
        answers = []
        async with talking(kind) as client:
            for message in messages:
                await client.say(message)
                if "id" in message:
                    answers.append(normal(await client.hear()))

        heard.append(answers)

    return heard[0], heard[1]


def normal(answer: Json) -> Json:
    """Without what the SDK promises beyond tools: prompts, and news of changes that never come."""
    result = answer.get("result", {})
    if "capabilities" in result:
        kept = result["capabilities"].keys() - {"prompts", "experimental"}
        result["capabilities"] = {name: {} for name in kept}

    for content in result.get("contents", ()):
        if "blob" in content:
            content.pop("mimeType")  # the SDK says that it is text

    return answer


@pytest.mark.parametrize("era", [legacy, modern])
async def test_progress_is_told_to_who_asks_for_it(era: Callable[..., list[Json]]) -> None:
    heard = []
    for kind in ("ours", "sdk"):
        async with talking(kind) as client:
            *before, call = era("tools/call", {"name": "count", "arguments": {"to": 2}})
            call["params"].setdefault("_meta", {})["progressToken"] = "p"
            await client.say(*before, call)
            heard.append([await client.hear() for _ in range(len(before[:1]) + 3)][-3:])

    assert heard[0] == heard[1]
    assert [each.get("params") for each in heard[0]] == [
        {"progressToken": "p", "progress": 1, "total": 2, "message": "at 1"},
        {"progressToken": "p", "progress": 2, "total": 2, "message": "at 2"},
        None,
    ]


@pytest.mark.parametrize("era", [legacy, modern])
async def test_a_cancelled_call_is_not_answered_and_the_next_one_is(era: Callable[..., list[Json]]) -> None:
    async with talking("ours") as client:
        *before, call = era("tools/call", {"name": "wait"})
        await client.say(*before, call, {"method": "notifications/cancelled", "params": {"requestId": 5}})
        after = era("tools/call", CALL)[-1] | {"id": 6}
        await client.say({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}}, after)
        answers = [await client.hear() for _ in range(len(before[:1]) + 1)]
        assert answers[-1]["id"] == 6


async def test_what_is_no_message_costs_nothing_but_itself(capfd: pytest.CaptureFixture[str]) -> None:
    async with talking("ours") as client:
        await client.say(
            "no json", "3", "[]", "{" * 10_000, "[" * 100_000, '{"id": {}}', '{"id": 3}', '{"id": 3, "method": 4}'
        )
        await client.say({"jsonrpc": "2.0", "id": 7, "result": {}}, *legacy("ping"))
        assert [(await client.hear())["id"] for _ in range(2)] == [1, 5]

    assert "what came in is no message: 'no json" in capfd.readouterr().err


async def test_a_fault_in_a_tool_is_told_to_whoever_keeps_the_server(capfd: pytest.CaptureFixture[str]) -> None:
    async with talking("ours") as client:
        await client.say(*modern("tools/call", {"name": "fail"}), *modern("tools/call", CALL))
        answers = [await client.hear(), await client.hear()]
        assert [each.get("error", {}).get("message") for each in answers] == ["Internal server error", None]

    assert "ZeroDivisionError" in capfd.readouterr().err


async def test_calls_under_way_are_answered_when_nothing_more_will_be_asked() -> None:
    async with talking("ours") as client:
        await client.say(*modern("tools/call", CALL), *modern("tools/call", {"name": "count", "arguments": {"to": 3}}))
        client.leave()
        assert {json.dumps((await client.hear())["result"]["isError"]) for _ in range(2)} == {"false"}


@pytest.mark.parametrize(("version", "answered"), [("2025-03-26", [5, 6]), ("2025-06-18", None)])
async def test_several_in_one_are_answered_in_one_where_the_version_has_that(version: str, answered: Any) -> None:
    first, ready, call = legacy("tools/call", CALL)
    batch = [ready, call, {"jsonrpc": "2.0", "id": 6, "method": "ping"}]
    async with talking("ours") as client:
        await client.say(first | {"params": {**INITIALIZE, "protocolVersion": version}}, json.dumps(batch))
        await client.say({"jsonrpc": "2.0", "id": 7, "method": "ping"})
        assert (await client.hear())["result"]["protocolVersion"] == version
        heard = [await client.hear() for _ in range(2 if answered else 1)]
        several: Any = [each for each in heard if isinstance(each, list)]
        assert [[each["id"] for each in one] for one in several] == ([answered] if answered else [])


async def test_who_asks_on_and_hears_nothing_is_not_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "OPEN", 3)
    async with talking("ours") as client:
        assert await client.crowd(1000) < 1000
        client.done()


async def test_a_request_too_many_is_refused_until_another_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "OPEN", 1)
    monkeypatch.setattr(talk, "ROOM_S", 0.01)
    async with talking("ours") as client:
        call = modern("tools/call", CALL)[0]
        await client.say(*modern("tools/call", {"name": "wait"}), call | {"id": 6})
        refused = await client.hear()
        await client.say({"method": "notifications/cancelled", "params": {"requestId": 5}})
        await anyio.wait_all_tasks_blocked()
        await client.say(call | {"id": 7})
        assert (refused["id"], refused["error"]["code"]) == (6, talk.BUSY)
        assert (await client.hear())["id"] == 7
