"""Other people's servers, in both eras and in the sandbox: listed, called, understood."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from journeyman.tools.catalog import Catalog
from journeyman.tools.client import Patience
from journeyman.tools.pins import Pins
from journeyman.tools.target import Command, Confined
from tests.need import mcp_server, need, node
from tests.tools.test_server import call

Case = tuple[Callable[[Path], list[str]], str, dict[str, Any], str]
"""How it is started with a folder, a tool, its arguments, and what is in the result."""


def js(name: str, *words: str) -> Callable[[Path], list[str]]:
    return lambda folder: [
        *node("@modelcontextprotocol", f"server-{name}", "dist", "index.js"),
        *(word.format(folder) for word in words),
    ]


def py(era: str, name: str, *words: str) -> Callable[[Path], list[str]]:
    return lambda folder: [mcp_server(era, f"mcp-server-{name}"), *(word.format(folder) for word in words)]


THOUGHT = {"thought": "so", "nextThoughtNeeded": False, "thoughtNumber": 1, "totalThoughts": 1}
CASES: dict[str, Case] = {
    "everything": (js("everything"), "echo", {"message": "hi"}, "hi"),
    "filesystem": (js("filesystem", "{}"), "read_text_file", {"path": "{}/a.txt"}, "water the plants"),
    "memory": (js("memory"), "read_graph", {}, "entities"),
    "sequential-thinking": (js("sequential-thinking"), "sequentialthinking", THOUGHT, "thoughtNumber"),
    "time": (py("new", "time"), "get_current_time", {"timezone": "UTC"}, "datetime"),
    "git": (py("new", "git"), "git_status", {"repo_path": "{}"}, "a.txt"),
    "fetch": (py("new", "fetch"), "fetch", {"url": "http://127.0.0.1:9/"}, ""),
    "sqlite": (py("old", "sqlite", "--db-path", "{}/x.db"), "list_tables", {}, "[]"),
}
PRESENT = {"time", "git", "fetch"}
"""Those that speak the present protocol."""


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("era", ["modern", "legacy"])
@pytest.mark.parametrize("name", CASES)
async def test_a_server_of_others_is_listed_called_and_understood(tmp_path, name, era):
    start, tool, arguments, expected = CASES[name]
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text("water the plants", "utf-8")
    await anyio.run_process(["git", "init", "--quiet", str(folder)])
    need("native")
    target = Command(name, tuple(start(folder)), cwd=folder, sandbox=Confined(write=(folder,)))
    pins = Pins(tmp_path / "mcp.lock")
    pins.remember(target, {"era": era})
    async with Catalog([target], patience=Patience(start=60, again=30), pins=pins) as catalog:
        assert [str(each) for each in catalog.problems] == []
        given = {
            key: str(folder) + value[2:] if str(value).startswith("{}") else value for key, value in arguments.items()
        }
        done = await call(catalog, f"{name}__{tool}", json.dumps(given))

    assert done.is_error == (name == "fetch")
    assert expected in done.text
    assert pins.remembered(target)["era"] == ("modern" if era == "modern" and name in PRESENT else "legacy")
