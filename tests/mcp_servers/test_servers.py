import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot
from mcp import Client
from mcp_types import CallToolResult, TextContent

from journeyman.agent.models.renderer import signature
from journeyman.errors import UsageError
from journeyman.mcp_servers import SERVERS, build
from journeyman.mcp_servers.code.session import MAX_CHARACTERS, Session
from journeyman.sandbox.sandbox import Limits, Spec
from journeyman.traces.messages import ToolSpec

Call = Callable[..., Any]


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> str:
    """The protocol of 2026-07-28, and the handshake of the years before."""
    return request.param


def told(result: CallToolResult) -> tuple[bool, str]:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return bool(result.is_error), content.text


async def test_models_see_short_signatures(tmp_path: Path) -> None:
    shown = []
    for name in SERVERS:
        async with Client(build(name, tmp_path)) as client:
            for tool in (await client.list_tools()).tools:
                spec = ToolSpec(
                    name=f"{name}__{tool.name}",
                    server=name,
                    tool=tool.name,
                    description=tool.description or "",
                    parameters=tool.input_schema,
                )
                assert len(spec.description.split()) <= 8
                shown.append(signature(spec))

    assert shown == snapshot(
        [
            "calculator__calculate(expression: string) - Calculate an arithmetic expression",
            "code__python(code: string) - Run Python code",
            "files__info(path: string) - Count lines, words and bytes of a file",
            "files__read(path: string, start?: integer, lines?: integer) - Read a text file",
            "files__list(path?: string) - List the files in a folder",
            "files__write(path: string, content: string) - Write a text file",
            "files__edit(path: string, old: string, new: string) - Replace text in a file",
            "search__search(query: string, k?: integer) - Search the text of all files",
            "search__open(path: string, start?: integer, lines?: integer) - Read lines of a file",
        ]
    )


async def test_schemas_are_bare_and_closed(tmp_path: Path) -> None:
    async with Client(build("files", tmp_path)) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}

    assert tools["read"].input_schema == {
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "start": {"type": "integer", "default": 1},
            "lines": {"type": "integer", "default": 200},
        },
        "required": ["path"],
        "additionalProperties": False,
    }


async def test_every_annotation_is_said_outright(tmp_path: Path) -> None:
    said = {}
    for name in SERVERS:
        async with Client(build(name, tmp_path)) as client:
            for tool in (await client.list_tools()).tools:
                assert tool.annotations is not None
                hints = tool.annotations.model_dump(exclude_none=True)
                assert not hints.pop("open_world_hint")
                said[f"{name}.{tool.name}"] = "".join(key[0] for key, value in hints.items() if value)

    # r: read-only, d: destructive, i: idempotent
    assert said == snapshot(
        {
            "calculator.calculate": "ri",
            "code.python": "",
            "files.info": "ri",
            "files.read": "ri",
            "files.list": "ri",
            "files.write": "di",
            "files.edit": "d",
            "search.search": "ri",
            "search.open": "ri",
        }
    )


async def test_the_calculator_answers_text_and_data(tmp_path: Path, era: str) -> None:
    async with Client(build("calculator", tmp_path), mode=era) as client:
        result = await client.call_tool("calculate", {"expression": "37 * 43 - 12"})
        assert told(result) == (False, "1579")
        assert result.structured_content == {"exact": "1579", "decimal": "1579", "approximate": False}
        refused = await client.call_tool("calculate", {"expression": "9**9**9"})
        assert told(refused) == (True, "too large: the result would have more than 4000 digits")


@pytest.mark.parametrize(
    ("tool", "arguments", "text"),
    [
        ("read", {}, "read needs the argument 'path'"),
        ("read", {"path": "a", "line": 3}, "read has no argument 'line'; it takes path, start, lines"),
        ("read", {"path": 3}, "read: path: input should be a valid string"),
        (
            "read",
            {"path": "notes.txt", "start": "x"},
            snapshot("read: start: input should be a valid integer, unable to parse string as an integer"),
        ),
        ("open", {"path": "a"}, "there is no tool 'open'; there are: info, read, list, write, edit"),
        ("read", {"path": "note.txt"}, "no such file: note.txt; did you mean notes.txt?"),
        (
            "read",
            {"path": "../x"},
            snapshot("../x is outside the folder the tools may use; give a path inside it"),
        ),
    ],
)
async def test_a_wrong_call_is_answered_with_what_would_be_right(
    tmp_path: Path, tool: str, arguments: dict[str, Any], text: str
) -> None:
    (tmp_path / "notes.txt").write_text("hello\n")
    async with Client(build("files", tmp_path)) as client:
        assert told(await client.call_tool(tool, arguments)) == (True, text)


async def test_the_files_server_writes_reads_and_edits(tmp_path: Path, era: str) -> None:
    async with Client(build("files", tmp_path), mode=era) as client:

        async def call(tool: str, **arguments: str) -> str:
            is_error, text = told(await client.call_tool(tool, arguments))
            assert not is_error
            return text

        assert [
            await call("write", path="notes.txt", content="one\ntwo\n"),
            await call("info", path="notes.txt"),
            await call("edit", path="notes.txt", old="two", new="2"),
            await call("read", path="notes.txt"),
            await call("list"),
        ] == [
            "wrote notes.txt: 2 lines, 8 bytes",
            "notes.txt: 2 lines, 2 words, 8 bytes",
            "edited notes.txt: 2 lines, 6 bytes",
            "one\n2",
            "notes.txt",
        ]
        info = await client.call_tool("info", {"path": "notes.txt"})
        assert info.structured_content == {
            "path": "notes.txt",
            "kind": "file",
            "bytes": 6,
            "lines": 2,
            "words": 2,
            "entries": None,
        }


async def test_the_search_server_searches_and_opens(tmp_path: Path, era: str) -> None:
    (tmp_path / "zoo.md").write_text("# Zoo\n\nThe zoo opens at 8:00.\nTickets cost 20 euros.\n")
    async with Client(build("search", tmp_path), mode=era) as client:
        assert [
            told(await client.call_tool("search", {"query": "when does the zoo open?"})),
            told(await client.call_tool("search", {"query": "walrus\x1b[2J"})),
            told(await client.call_tool("open", {"path": "zoo.md", "start": 4})),
        ] == [
            (False, "zoo.md:3: The zoo opens at 8:00."),
            (False, 'no matches for "walrus\\x1b[2J"'),
            (False, "Tickets cost 20 euros.\n[lines 4-4 of 4]"),
        ]
        assert (await client.call_tool("search", {"query": "tickets"})).structured_content == {
            "hits": [{"path": "zoo.md", "line": 4, "text": "Tickets cost 20 euros."}],
            "complete": True,
        }


async def test_the_code_server_keeps_variables_between_calls(tmp_path: Path, era: str) -> None:
    async with Client(build("code", tmp_path), mode=era) as client:

        async def python(code: str) -> tuple[bool, str]:
            return told(await client.call_tool("python", {"code": code}))

        assert [
            await python("print(sum(range(101)))"),
            await python("x = 20\nprint('set')\nx"),
            await python("x * 2"),
            await python("y = 1"),
            await python("print('so far')\n1 / 0"),
            await python("import no_such_module"),
        ] == snapshot(
            [
                (False, "5050"),
                (
                    False,
                    """\
set
20\
""",
                ),
                (False, "40"),
                (False, "(no output)"),
                (
                    True,
                    """\
so far
line 2: 1 / 0
ZeroDivisionError: division by zero\
""",
                ),
                (
                    True,
                    """\
line 1: import no_such_module
ModuleNotFoundError: No module named 'no_such_module'\
""",
                ),
            ]
        )


async def test_two_servers_do_not_share_variables(tmp_path: Path) -> None:
    async with Client(build("code", tmp_path)) as one, Client(build("code", tmp_path)) as other:
        await one.call_tool("python", {"code": "mine = 1"})
        assert told(await other.call_tool("python", {"code": "mine"}))[0]


async def test_a_server_can_be_connected_to_again(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("walrus")
    for name, tool, arguments, text in (
        ("code", "python", {"code": "1 + 1"}, "2"),
        ("search", "search", {"query": "walrus"}, "a.md:1: walrus"),
    ):
        server = build(name, tmp_path)
        for _ in range(2):
            async with Client(server) as client:
                assert told(await client.call_tool(tool, arguments)) == (False, text)


async def test_a_cancelled_call_stops_the_code_and_the_server_lives(tmp_path: Path) -> None:
    async with Client(build("code", tmp_path)) as client:
        with anyio.move_on_after(0.2) as scope:
            await client.call_tool("python", {"code": "while True: pass"})

        assert scope.cancelled_caught
        assert told(await client.call_tool("python", {"code": "1 + 1"})) == (False, "2")


async def test_long_output_keeps_its_begin_and_its_end() -> None:
    session = Session(Spec(limits=Limits(wall_s=5)))
    text = await session.python("print('begin')\nprint('x' * 40000)\nprint('end')")
    await session.close()
    assert (text[:6], text[-4:]) == ("begin\n", "\nend")
    assert "\n[... 24010 characters left out ...]\n" in text
    assert len(text) < MAX_CHARACTERS + 100


async def test_a_session_whose_sandbox_ended_says_so_and_goes_on_in_a_new_one() -> None:
    session = Session(Spec(limits=Limits(wall_s=5)))
    await session.python("x = 1")
    sandbox = session._sandbox
    assert sandbox is not None
    await sandbox.close()
    assert await session.python("'x' in globals()") == "False"
    await session.close()


async def test_a_sandbox_that_is_not_to_be_had_is_told_to_the_model(tmp_path: Path) -> None:
    async with Client(build("code", tmp_path, sandbox="moon")) as client:
        is_error, text = told(await client.call_tool("python", {"code": "1"}))

    assert is_error
    assert text.startswith("there is no sandbox 'moon'; take one of: auto, native, docker")


def test_building_a_server_leaves_the_logging_of_the_program_alone(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    for name in SERVERS:
        build(name, tmp_path)

    assert (list(root.handlers), root.level) == before


def test_an_unknown_server_and_a_wrong_root_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        build("mail", tmp_path)

    assert (str(refused.value), refused.value.fix) == (
        "there is no server 'mail'",
        "take one of: calculator, code, files, search, web",
    )
    for name in ("files", "search"):
        with pytest.raises(UsageError, match="is not a folder"):
            build(name, tmp_path / "missing")


def test_every_server_is_in_the_table_under_its_name(tmp_path: Path) -> None:
    assert list(SERVERS) == sorted(SERVERS)
    assert [build(name, tmp_path).name for name in SERVERS] == list(SERVERS)
