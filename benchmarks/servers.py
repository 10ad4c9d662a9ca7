# ruff: noqa: ASYNC240 - a small file, in a benchmark
"""MCP servers: a call beside the bare SDK, eight started at once beside the slowest alone, one killed and back."""

import os
import signal
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

from journeyman.mcp_servers.registry import build
from journeyman.tools.catalog import Catalog
from journeyman.tools.client import Patience
from journeyman.tools.target import Builtin, Command

CALLS = 300
SERVER = (sys.executable, "-m", "journeyman", "mcp", "serve", "calculator")
ARGUMENTS = {"expression": "37 * 43"}


async def timed(one: Any) -> float:
    """Milliseconds, the median of many."""
    for _ in range(20):
        await one()

    times = []
    for _ in range(CALLS):
        begun = perf_counter()
        await one()
        times.append(perf_counter() - begun)

    return 1000 * median(times)


async def calls() -> None:
    root = Path.cwd()
    rows = [
        ("in process", Builtin("calculator", root), build("calculator", root)),
        ("stdio", Command("calc", SERVER), StdioServerParameters(command=SERVER[0], args=list(SERVER[1:]))),
    ]
    for name, target, bare in rows:
        async with Catalog([target], patience=Patience(start=60)) as catalog, Client(bare) as client:
            found = catalog.find(f"{target.name}__calculate")
            assert found is not None
            await client.list_tools()
            ours = await timed(lambda tool=found: tool.call(ARGUMENTS, lambda *_: None))
            theirs = await timed(lambda there=client: there.call_tool("calculate", ARGUMENTS))
            print(f"  call, {name:<11} {ours:6.2f} ms  (bare SDK {theirs:.2f} ms)")


async def connected(*targets: Command) -> float:
    begun = perf_counter()
    async with Catalog(targets, patience=Patience(start=60)) as catalog:
        assert not catalog.problems
        return perf_counter() - begun


async def several() -> None:
    targets = [Command(f"c{at}", ("sh", "-c", f"sleep {1 + at / 8}; exec {' '.join(SERVER)}")) for at in range(8)]
    slowest = await connected(targets[-1])
    together = await connected(*targets)
    print(f"  eight at once      {together:6.2f} s   (the slowest alone {slowest:.2f} s: {together / slowest:.2f}x)")


async def killed() -> None:
    target = Command("calc", ("sh", "-c", f"echo $$ >{os.getpid()}.pid; exec {' '.join(SERVER)}"))
    async with Catalog([target], patience=Patience(start=60)) as catalog:
        found = catalog.find("calc__calculate")
        assert found is not None
        alone = await connected(Command("calc", SERVER))
        mark = Path(f"{os.getpid()}.pid")
        os.kill(int(mark.read_text("utf-8")), signal.SIGKILL)
        begun = perf_counter()
        server: Any = catalog._servers[0]  # noqa: SLF001 - to see it notice
        await server._connection.ended.wait()  # noqa: SLF001
        await found.call(ARGUMENTS, lambda *_: None)
        print(f"  killed and back    {perf_counter() - begun:6.2f} s   (to start it at all {alone:.2f} s)")
        mark.unlink()


def main() -> None:
    print("servers")
    for part in (calls, several, killed):
        anyio.run(part)
