import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from journeyman.errors import ServerError, ToolError
from journeyman.tools.catalog import Catalog, Toolbox
from journeyman.tools.client import Patience
from journeyman.tools.stdio import EDGE, Lines, TooLong
from journeyman.tools.tail import KEPT, Tail
from journeyman.tools.target import Command, Url
from journeyman.tools.tool import Output
from journeyman.traces.messages import ToolSpec
from journeyman.traces.span import in_call, traceparent

SERVERS = Path(__file__).parent / "servers"


@pytest.fixture
def anyio_backend():
    return "asyncio"


def good(**environment: str) -> Command:
    return Command("good", (sys.executable, str(SERVERS / "good.py")), environment)


def raw(kind: str, name: str = "raw", **environment: str) -> Command:
    return Command(name, (sys.executable, str(SERVERS / "raw.py"), kind), environment)


def silent(text: str, fraction: float | None) -> None:
    pass


async def call(toolbox: Toolbox, name: str, arguments: str = "{}") -> Output:
    found = toolbox.find(name)
    assert found is not None
    return await found.call(found.parse(arguments), silent)


async def failure(toolbox: Toolbox, name: str, arguments: str = "{}") -> ToolError | ServerError:
    with pytest.raises((ToolError, ServerError)) as caught:
        await call(toolbox, name, arguments)

    return caught.value


async def test_a_command_s_tools_are_offered_and_called():
    async with Catalog([good()]) as catalog:
        found = catalog.find("good__add")
        assert found is not None
        assert found.spec.model_copy(update={"parameters": {}}) == ToolSpec(
            name="good__add", server="good", tool="add", description="Add two numbers."
        )
        assert await call(catalog, "good__add", '{"a": 2, "b": 3}') == snapshot(Output(text="5", data={"result": 5}))
        assert await call(catalog, "good__picture") == snapshot(
            Output(
                text="""\
see
[image: image/png, 3 bytes]\
"""
            )
        )
        assert (await call(catalog, "good__refuse")).is_error
        assert str(await failure(catalog, "good__add", '{"a": "x", "c": 1}')) == snapshot(
            "a: 'x' is not of type 'integer'. It is called as good__add(a: integer, b?: integer)"
        )


async def test_a_command_sees_only_the_harmless_part_of_the_environment(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "s")
    async with Catalog([raw("odd", GIVEN="1")]) as catalog:
        names = (await call(catalog, "raw__environment")).text.split()

    assert "GIVEN" in names
    assert "SECRET_TOKEN" not in names


async def test_a_huge_result_is_cut_and_says_how_much_is_missing():
    async with Catalog([raw("odd")]) as catalog:
        text = (await call(catalog, "raw__big")).text

    assert text == "x" * 65_536 + "\n[9,934,464 of 10,000,000 bytes left out]"


async def test_an_answer_beyond_all_bounds_is_that_call_s_error_and_the_next_call_works():
    async with Catalog([raw("odd")]) as catalog:
        error = await failure(catalog, "raw__big", '{"size": 20000000}')
        assert (type(error), str(error)) == (ToolError, "the server's answer is larger than 16,777,216 bytes")
        assert (await call(catalog, "raw__fine")).text == "done"


async def test_what_a_server_has_started_ends_with_it(tmp_path):
    async with Catalog([raw("odd")]) as catalog:
        await call(catalog, "raw__spawn", f'{{"mark": "{tmp_path / "pid"}"}}')

    with anyio.fail_after(50):
        while is_alive(int((tmp_path / "pid").read_text())):  # noqa: ASYNC110 - elsewhere
            await anyio.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Not gone, and not merely waiting for somebody to notice."""
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@given(st.lists(st.binary(max_size=12), max_size=12), st.integers(1, 6))
def test_lines_are_the_same_however_the_bytes_arrive(chunks, most):
    lines = Lines(most)
    heard = [line for chunk in chunks for line in lines.feed(chunk)]
    whole = b"".join(chunks).split(b"\n")[:-1]
    assert heard == [line if len(line) <= most else TooLong(line[:EDGE], line[-EDGE:]) for line in whole]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"jsonrpc": "2.0", "id": 7, "result": "FILL"}', 7),
        ('{"id":7,"jsonrpc":"2.0","result":{"rows":[{"id":1}],"text":"FILL"}}', 7),
        ('{"result":{"rows":[{"id":1}],"text":"FILL"},"jsonrpc":"2.0","id":7}', 7),
        ('{"result":{"text":"FILL"},"id":7,"jsonrpc":"2.0"}\r', 7),
        ('{"result":{"text":"FILL","row":{"a":0,"id":1}}}', None),
        ('{"result":{"text":"FILL, \\"id\\":1}"}}', None),
    ],
)
def test_whose_answer_was_too_long_is_told_by_its_own_id_alone(line, found):
    (long,) = Lines(1000).feed(line.replace("FILL", "x" * 5000).encode() + b"\n")
    assert isinstance(long, TooLong)
    assert long.id == found


async def test_progress_is_passed_on_and_cancelling_stops_waiting():
    told = []
    async with Catalog([good()]) as catalog:
        slow = catalog.find("good__slow")
        assert slow is not None
        with anyio.fail_after(50):
            async with anyio.create_task_group() as group:

                def report(text, fraction):
                    told.append((text, fraction))
                    group.cancel_scope.cancel()

                await slow.call({}, report)

        assert told == [("a quarter", 0.25)]
        assert (await call(catalog, "good__add", '{"a": 1}')).text == "1"


async def test_a_call_that_gets_no_answer_in_time_may_have_happened():
    async with Catalog([raw("odd")], patience=Patience(answer=0.3)) as catalog:
        error = await failure(catalog, "raw__hang")

    assert isinstance(error, ServerError)
    assert (str(error), error.maybe_done) == (
        "MCP server 'raw' gave no result within 0.3 seconds; the call may or may not have happened",
        True,
    )


async def test_a_server_that_dies_is_back_for_the_next_call_and_an_effect_is_never_repeated(tmp_path):
    mark = tmp_path / "mark"
    async with Catalog([raw("odd")]) as catalog:
        error = await failure(catalog, "raw__die", f'{{"mark": "{mark}"}}')
        assert isinstance(error, ServerError)
        assert (str(error), error.maybe_done) == (
            "MCP server 'raw' died during die; the call may or may not have happened. It last said: dying now",
            True,
        )
        assert (await call(catalog, "raw__fine")).text == "done"

    assert mark.read_text() == "1"


async def test_no_call_is_repeated_on_a_stranger_s_word_that_it_changes_nothing(tmp_path):
    async with Catalog([raw("odd")]) as catalog:
        error = await failure(catalog, "raw__die_once", f'{{"mark": "{tmp_path / "mark"}"}}')

    assert isinstance(error, ServerError)
    assert error.maybe_done


async def test_a_server_that_ended_between_two_calls_is_started_again_and_listed_before_the_next_one():
    async with Catalog([raw("brief")]) as catalog:
        for _ in range(4):
            assert (await call(catalog, "raw__fine")).text == "done"
            connection = catalog._servers[0]._connection
            assert connection is not None
            with anyio.fail_after(50):
                await connection.ended.wait()


async def test_an_answer_that_names_its_call_nowhere_ends_the_connection_and_the_next_call_works():
    async with Catalog([raw("odd")]) as catalog:
        with anyio.fail_after(50):
            error = await failure(catalog, "raw__big", '{"size": 20000000, "nameless": true}')
            assert isinstance(error, ServerError)
            assert (await call(catalog, "raw__fine")).text == "done"


async def test_what_a_server_writes_on_stderr_is_kept_in_part_and_slows_nobody_down():
    with Tail() as tail:
        os.write(tail.writing, b"x" * 60_000 + b"\nlast \x1bwords\n")
        assert str(tail) == "x" * 200 + " … +3,883 bytes | last ⟪U+001B⟫words"
        async with anyio.create_task_group() as group:
            group.start_soon(tail.follow)
            for _ in range(8):
                await anyio.to_thread.run_sync(os.write, tail.writing, b"y" * 60_000)

            tail.close_writing()

        assert len(tail._kept) == KEPT


async def test_secrets_of_a_command_or_an_address_are_not_told():
    sources = [
        Command("gone", ("/nowhere/no-such-program", "--token=s3cret")),
        Command("dying", (sys.executable, str(SERVERS / "raw.py"), "dying", "--token=s3cret")),
        Url("web", "http://me:s3cret@127.0.0.1:9/mcp?key=s3cret"),
    ]
    async with Catalog(sources, patience=Patience(start=2)) as catalog:
        told = [
            f"{problem} {problem.fix} {target!s}" for problem, target in zip(catalog.problems, sources, strict=True)
        ]

    assert len(told) == 3
    assert "s3cret" not in " ".join(told)


async def test_a_server_that_keeps_dying_is_given_up(tmp_path):
    async with Catalog([raw("odd")]) as catalog:
        for _ in range(3):
            await failure(catalog, "raw__die", f'{{"mark": "{tmp_path / "mark"}"}}')

        error = await failure(catalog, "raw__fine")

    assert str(error) == "MCP server 'raw' died 3 times in a row and is not started again"
    assert (tmp_path / "mark").read_text() == "3"


async def test_one_bad_tool_does_not_take_the_others_with_it():
    async with Catalog([raw("bad_schema")]) as catalog:
        assert [spec.name for spec in catalog.specs] == ["raw__fine", "raw__loose"]
        assert (await call(catalog, "raw__loose", '{"anything": 1}')).text == "done"
        assert [
            str(problem).partition(" tool ")[2].replace("is left out: ", "") for problem in catalog.problems
        ] == snapshot(
            [
                "'schemaless' inputSchema: Field required",
                "'list' its arguments are not an object",
                "'invalid' its schema is not valid: there is no type 'nonsense'",
                "'huge' its schema is 100,037 characters long",
                "'not even an object' it is not an object",
                "'hidden\\u202e' its name cannot be shown",
                "'fine' a second one of that name",
            ]
        )


async def test_references_in_a_schema_are_never_fetched():
    async with Catalog([raw("fetching")]) as catalog:
        assert (await call(catalog, "raw__far", '{"a": 1}')).text == "done"


async def test_a_tool_s_word_about_its_results_is_not_asked():
    async with Catalog([raw("typed")]) as catalog:
        assert [str(problem).partition("'odd' ")[2] for problem in catalog.problems] == [
            "is left out: its schema is not valid: $schema is no str"
        ]
        assert (await call(catalog, "raw__fine")).text == "done"


@pytest.mark.parametrize("kind", ["noisy", "old"])
async def test_noise_on_stdout_and_ignorance_of_the_present_protocol_do_no_harm(kind, capfd):
    async with Catalog([raw(kind)]) as catalog:
        assert (await call(catalog, "raw__fine")).text == "done"

    assert capfd.readouterr() == ("", "")


async def test_servers_that_fail_are_problems_and_the_others_work(tmp_path):
    sources = [
        raw("dying", "dying"),
        raw("silent", "silent"),
        Command("missing", ("no-such-program",)),
        Command("folder", (str(tmp_path),)),
        Url("nobody", "http://127.0.0.1:9/mcp"),
        raw("fine", "fine"),
    ]
    async with Catalog(sources, patience=Patience(start=4)) as catalog:
        assert [spec.name for spec in catalog.specs] == ["fine__fine"]
        told = sorted((str(problem)[12:], problem.fix.split(":")[0]) for problem in catalog.problems)

    assert told == snapshot(
        [
            (
                "dying' does not answer: Connection closed. It last said: cannot ⟪U+001B⟫[31mstart | no API_KEY",
                "run it by hand and look",
            ),
            ("folder' cannot be reached: Permission denied", "run it by hand and look"),
            (
                "missing' cannot be started: there is no program 'no-such-program'",
                "install no-such-program or correct the command",
            ),
            ("nobody' does not answer: All connection attempts failed", "check 127.0.0.1"),
            (
                "silent' did not answer within 4 seconds. It last said: I say nothing",
                "run it by hand and look",
            ),
        ]
    )


@pytest.fixture
def web():
    """A real server in a process of its own, and its address."""
    command = [sys.executable, str(SERVERS / "good.py"), "http"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            wait_until_open(port)
            yield process, f"http://127.0.0.1:{port}/mcp"
        finally:
            process.kill()


def wait_until_open(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return

    pytest.fail("the server does not open its port")


async def test_a_server_over_http_is_one_like_the_others_and_its_end_is_an_error(web):
    process, url = web
    async with Catalog([Url("web", url, {"X-Token": "t"})]) as catalog:
        assert (await call(catalog, "web__add", '{"a": 2, "b": 3}')).text == "5"
        process.kill()
        process.wait()
        error = await failure(catalog, "web__add", '{"a": 2}')

    assert (type(error), error.fix) == (ServerError, f"check {url.split('/')[2]}")


async def test_a_server_is_told_which_call_of_which_run_it_works_for(web):
    async with Catalog([good(), Url("web", web[1])]) as catalog:
        with in_call("a run", "c1"):
            mine = traceparent()
            told = [(await call(catalog, name)).text for name in ("good__whence", "web__whence")]

        with in_call("a run", "c2"):
            next_one = traceparent()
            told.append((await call(catalog, "web__whence")).text)

        told.append((await call(catalog, "web__whence")).text)

    assert told == [f"{mine} None", f"{mine} {mine}", f"{next_one} {next_one}", "None None"]
    assert mine == snapshot("00-7666f0507e9b2d38e9dee8b3a19b4379-93d824a423770a56-01")


async def test_an_error_in_the_body_comes_out_as_itself_and_the_server_is_gone(tmp_path):
    with pytest.raises(KeyError, match="mine"):
        async with Catalog([raw("fine", PID_FILE=str(tmp_path / "pid"))]):
            raise KeyError("mine")

    assert_gone(tmp_path / "pid")


async def test_cancelling_while_servers_start_leaves_none_behind(tmp_path):
    async def start() -> None:
        async with Catalog([raw("silent", PID_FILE=str(tmp_path / "pid"))]):
            pytest.fail("it says nothing, and yet it is there")

    async with anyio.create_task_group() as group:
        group.start_soon(start)
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():  # noqa: ASYNC110 - a process
            await anyio.sleep(0.01)

        group.cancel_scope.cancel()

    assert_gone(tmp_path / "pid")


def assert_gone(pid_file: Path) -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


async def test_a_result_that_is_none_is_an_error_the_model_reads():
    async with Catalog([raw("odd")]) as catalog:
        error = await failure(catalog, "raw__broken")

    assert isinstance(error, ToolError)
    assert "does not fit what it declared" in str(error)


async def test_a_server_that_never_lists_its_tools_is_a_problem():
    async with Catalog([raw("secretive")], patience=Patience(start=4)) as catalog:
        assert [str(problem) for problem in catalog.problems] == [
            "MCP server 'raw' does not list its tools: TimeoutError"
        ]
