import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from journeyman.errors import ServerError, UsageError
from journeyman.mcp_servers import SERVERS
from journeyman.mcp_servers.registry import build
from journeyman.mcp_servers.serve import offer, serve

PROGRAM = """
import sys
from pathlib import Path
import anyio
from journeyman.mcp_servers.serve import serve
anyio.run(serve, sys.argv[1], Path(sys.argv[2]))
"""
CALLS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any], str]] = {
    "calculator": (
        "calculate",
        {"expression": "1/3"},
        "1/3 (0.3333333333333333)",
        {"expression": "1/0"},
        "division by zero",
    ),
    "code": (
        "python",
        {"code": "2 ** 10"},
        "1024",
        {"code": "1/0"},
        "line 1: 1/0\nZeroDivisionError: division by zero",
    ),
    "files": ("info", {"path": "a.md"}, "a.md: 1 line, 2 words, 15 bytes", {"path": "../a"}, "outside the folder"),
    "search": ("search", {"query": "Walrus?"}, "a.md:1: walrus feeding", {"query": "?"}, "the query has no words"),
}


@pytest.fixture
def anyio_backend() -> str:
    """The servers run in processes of their own, and the web server behind HTTP knows asyncio only."""
    return "asyncio"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.md").write_text("walrus feeding\n")
    return tmp_path


@pytest.mark.parametrize("name", SERVERS)
async def test_each_server_runs_over_stdio_and_keeps_stderr_clean(name: str, folder: Path) -> None:
    tool, good, right, bad, wrong = CALLS[name]
    parameters = StdioServerParameters(command=sys.executable, args=["-c", PROGRAM, name, str(folder)])
    with (folder / ".stderr").open("w+") as stderr:
        async with Client(stdio_client(parameters, errlog=stderr), read_timeout_seconds=50) as client:
            assert tool in [offered.name for offered in (await client.list_tools()).tools]
            for arguments, is_error, text in ((good, False, right), (bad, True, wrong)):
                result = await client.call_tool(tool, arguments)
                (content,) = result.content
                assert isinstance(content, TextContent)
                assert (result.is_error, text in content.text) == (is_error, True)

        stderr.seek(0)
        assert stderr.read() == ""


def test_a_server_ends_when_its_client_goes_away(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "calculator", folder],
        input="",
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@asynccontextmanager
async def listening(run: Callable[..., Coroutine[Any, Any, None]]) -> AsyncGenerator[str]:
    """The address of what is served meanwhile."""
    urls: list[str] = []
    async with anyio.create_task_group() as tasks:
        there = anyio.Event()

        def ready(url: str) -> None:
            urls.append(url)
            there.set()

        tasks.start_soon(partial(run, ready=ready))
        with anyio.fail_after(50):
            await there.wait()

        yield urls[0]
        tasks.cancel_scope.cancel()


async def test_a_server_runs_over_http_on_this_machine_only(folder: Path) -> None:
    async with listening(partial(serve, "code", folder, ("127.0.0.1", 0), token="open sesame")) as url:
        for mode in ("auto", "legacy"):
            async with (
                httpx2.AsyncClient(headers=RIGHT) as http,
                Client(streamable_http_client(url, http_client=http), mode=mode, read_timeout_seconds=50) as client,
            ):
                result = await client.call_tool("python", {"code": "n = 41" if mode == "auto" else "n + 1"})
                (content,) = result.content
                assert isinstance(content, TextContent)
                assert content.text == ("(no output)" if mode == "auto" else "42")

        cases = [({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403)]
        assert [await status(url, RIGHT | header) for header, _ in cases] == [code for _, code in cases]

    with pytest.raises(httpx2.ConnectError):
        await status(url, {})


async def test_a_server_with_a_token_answers_nobody_who_does_not_bear_it() -> None:
    tools = build("calculator", Path())
    async with listening(partial(offer, tools, ("127.0.0.1", 0), token="open sesame")) as url:
        cases: list[tuple[dict[str, str], int]] = [
            ({}, 401),
            ({"Authorization": "Bearer"}, 401),
            ({"Authorization": "Bearer open"}, 401),
            ({"Authorization": "Basic open sesame"}, 401),
            ({"Upgrade": "websocket", "Connection": "Upgrade"}, 401),
            (RIGHT | {"Host": "evil.example"}, 421),
            (RIGHT | {"Origin": "https://evil.example"}, 403),
        ]
        assert [await status(url, headers) for headers, _ in cases] == [code for _, code in cases]
        async with (
            httpx2.AsyncClient(headers=RIGHT) as http,
            Client(streamable_http_client(url, http_client=http), read_timeout_seconds=50) as client,
        ):
            assert not (await client.call_tool("calculate", {"expression": "1/3"})).is_error


RIGHT = {"Authorization": "Bearer open sesame"}


async def status(url: str, headers: dict[str, str]) -> int:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"Accept": "application/json, text/event-stream"}
    async with httpx2.AsyncClient(timeout=50) as http:
        return (await http.post(url, json=body, headers={**accept, **headers})).status_code


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", "::"])  # noqa: S104 - what must be refused
async def test_an_address_that_others_can_reach_is_refused(folder: Path, host: str) -> None:
    with pytest.raises(UsageError) as refused:
        await serve("files", folder, (host, 0), token="open sesame")

    assert str(refused.value) == f"{host} could be reached from other machines, and what is said there is not encrypted"


async def test_a_port_that_is_taken_or_impossible_is_told(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(ServerError) as refused:
            await serve("files", folder, ("127.0.0.1", taken.getsockname()[1]), token="open sesame")

        assert "Address already in use" in str(refused.value)
        assert refused.value.fix == "give another port, or 0 for a free one"

    with pytest.raises(UsageError, match="there is no port 99999"):
        await serve("files", folder, ("127.0.0.1", 99_999), token="open sesame")

    with pytest.raises(UsageError, match="a server on a port needs a token"):
        await serve("files", folder, ("127.0.0.1", 0))


def test_nothing_heavy_is_imported_before_a_server_is_built() -> None:
    program = """
import sys
import journeyman.mcp_servers, journeyman.sandbox.select, journeyman.mcp_servers.calculator.evaluate
import journeyman.mcp_servers.search.index, journeyman.mcp_servers.files.workspace
print([name for name in ("mcp", "mcp_types", "pydantic_monty", "uvicorn", "starlette", "rich") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout == "[]\n"
