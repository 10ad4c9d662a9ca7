"""The standard streams of a server, driven by hand: what no client would send, too."""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from journeyman.mcp_servers.wire import Out

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
}
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}
SERVE = """
import sys, anyio
from journeyman.mcp_servers.base import ToolServer
from journeyman.mcp_servers.serve import offer, talked
from journeyman.mcp_servers.toolset import Toolset, hints

def loud(size: int) -> str:
    "Print, and answer at length"
    print("stray")
    return "\\u00e4" * size

tools = Toolset("loud", "")
tools.offer(loud, hints())
run, what = (offer, ToolServer.of(tools)) if sys.argv[2] == "sdk" else (talked, tools)
anyio.run(run, what, backend=sys.argv[1])
"""


def call(number: int, size: int) -> dict[str, object]:
    return {
        "jsonrpc": "2.0",
        "id": number,
        "method": "tools/call",
        "params": {"name": "loud", "arguments": {"size": size}},
    }


@contextmanager
def served(backend: str, kind: str) -> Generator[tuple[subprocess.Popen[str], IO[str], IO[str], IO[str]]]:
    command = [sys.executable, "-c", SERVE, backend, kind]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8") as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stderr is not None
        yield program, program.stdin, program.stdout, program.stderr


@pytest.mark.parametrize("kind", ["ours", "sdk"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_messages_of_any_size_pass_whole_and_stray_output_does_not(tmp_path: Path, backend: str, kind: str) -> None:
    with served(backend, kind) as (program, stdin, stdout, stderr):
        for message in (INITIALIZE, READY, call(2, 3), call(3, 300_000)):
            stdin.write(json.dumps(message) + "\n")

        stdin.write("no json\n")
        stdin.flush()
        answers = {}
        while 3 not in answers or 2 not in answers:
            answer = json.loads(stdout.readline())
            answers[answer.get("id")] = answer

        stdin.close()
        assert [len(answers[n]["result"]["content"][0]["text"]) for n in (2, 3)] == [3, 300_000]
        assert "stray" in stderr.read()
        assert program.wait(50) == 0


async def test_what_is_no_unicode_is_written_as_far_as_it_is() -> None:
    reading, writing = os.pipe()
    await Out(writing).write("a \udcff\n")
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: ASYNC230, PTH123 - all of it is there
        assert pipe.read() == b"a ?\n"


def test_a_server_whose_answers_nobody_reads_ends() -> None:
    with served("asyncio", "ours") as (program, stdin, stdout, stderr):
        stdout.close()
        stdin.write(json.dumps(INITIALIZE) + "\n")
        stdin.flush()
        assert program.wait(20) == 0
        assert stderr.read() == ""


def test_a_file_as_input_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "asked").write_text("".join(json.dumps(each) + "\n" for each in (INITIALIZE, READY)))
    with (tmp_path / "asked").open() as asked:
        done = subprocess.run(
            [sys.executable, "-c", SERVE, "asyncio", "sdk"],
            stdin=asked,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    assert json.loads(done.stdout.splitlines()[0])["id"] == 1
