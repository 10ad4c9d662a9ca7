"""A hostile server, in the sandbox that it is started in."""

import json
import re
import signal
import socket
import sys
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot

from journeyman.sandbox.native import Native
from journeyman.sandbox.sandbox import Probe
from journeyman.tools.catalog import Catalog
from journeyman.tools.confined import seen, told
from journeyman.tools.pins import Pins
from journeyman.tools.target import Command, Confined
from journeyman.tools.verdict import verdict
from tests.need import need
from tests.tools.test_server import SERVERS, call, is_alive


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's, with something in it that is nobody's business."""
    home = tmp_path / "home" / "ada"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_ed25519").write_text("the key", "utf-8")
    (home / "notes").mkdir()
    (home / "notes" / "a.md").write_text("a note", "utf-8")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path / "journeyman"))
    return home


def thief(*words: str, **may: Any) -> Command:
    program = (sys.executable, str(SERVERS / "raw.py"), "thief", *words)
    return Command("thief", program, sandbox=Confined(**may))


async def asked(target: Command, *calls: tuple[str, dict]) -> list[str]:
    async with Catalog([target]) as catalog:
        assert not catalog.problems
        return [(await call(catalog, f"thief__{name}", json.dumps(arguments))).text for name, arguments in calls]


async def test_it_can_neither_read_what_is_the_user_s_nor_write_outside(home, tmp_path):
    need("native")
    answers = await asked(
        thief(),
        ("take", {"path": "~/.ssh/id_ed25519"}),
        ("take", {"path": str(home / "notes" / "a.md")}),
        ("take", {"path": "/etc/shadow"}),
        ("take", {"path": "/proc/1/environ"}),
        ("plant", {"path": str(tmp_path / "planted")}),
        ("plant", {"path": str(SERVERS / "planted.py")}),
        ("plant", {"path": "/usr/bin/planted"}),
        ("plant", {"path": "~/.bashrc"}),
    )
    assert answers == snapshot(
        [
            "FileNotFoundError: No such file or directory",
            "FileNotFoundError: No such file or directory",
            "FileNotFoundError: No such file or directory",
            "PermissionError: Permission denied",
            "7",  # in a /tmp of its own
            "OSError: Read-only file system",
            "OSError: Read-only file system",
            "7",
        ]
    )
    assert not list(tmp_path.glob("planted"))
    assert sorted(each.name for each in home.iterdir()) == [".ssh", "notes"]


async def test_it_sees_no_process_but_its_own_and_keeps_a_home_of_its_own(home):
    need("native")
    (before,) = await asked(thief(), ("look", {}))
    (_, after) = await asked(thief(), ("plant", {"path": "~/memory"}), ("look", {}))
    (again,) = await asked(thief(), ("take", {"path": "~/memory"}))
    assert json.loads(before) == {"pids": 2, "home": [], "parent": 1}
    assert (json.loads(after)["home"], again) == (["memory"], "planted")


async def test_what_it_may_see_or_change_is_what_its_definition_says(home):
    need("native")
    note, other = str(home / "notes" / "a.md"), str(home / "notes" / "b.md")
    reading = await asked(thief(read=(home / "notes",)), ("take", {"path": note}), ("plant", {"path": note}))
    writing = await asked(thief(write=(home / "notes",)), ("plant", {"path": other}), ("take", {"path": other}))
    named = await asked(thief(f"--root={home / 'notes'}"), ("take", {"path": note}))
    assert (reading, writing, named) == (["a note", "OSError: Read-only file system"], ["7", "planted"], ["a note"])
    assert (home / "notes" / "b.md").read_text("utf-8") == "planted"


@pytest.fixture
def listening() -> Generator[int]:
    """The port of a service on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        yield service.getsockname()[1]


async def test_it_reaches_no_host_but_those_that_are_named_and_what_was_refused_is_told(listening, tmp_path):
    need("native")
    door = tmp_path / "door"
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(str(door))
        service.listen()
        async with Catalog([thief()]) as catalog:
            here = json.dumps({"host": "127.0.0.1", "port": listening})
            there = json.dumps({"host": "example.org", "port": 443})
            told = [(await call(catalog, "thief__reach", each)).text for each in (here, there)]
            told[1] = re.sub("gaierror: [^;]+", "gaierror", told[1])  # in whatever words
            told.append((await call(catalog, "thief__knock", json.dumps({"path": str(door)}))).text)
            said = catalog.servers[0].said

    assert told == snapshot(
        [
            "ConnectionRefusedError: Connection refused; HTTP/1.1 403 ",
            "gaierror; HTTP/1.1 403 ",
            "FileNotFoundError: No such file or directory",
        ]
    )
    why = "it is not on the list of hosts that may be reached"
    assert said.split(" | ") == [
        f"the sandbox did not let it reach {host}: {why}" for host in (f"127.0.0.1:{listening}", "example.org:443")
    ]


async def test_it_dies_with_whoever_started_it(tmp_path):
    need("native")
    program = f"""
import anyio, os, sys
from pathlib import Path
from journeyman.tools.catalog import Catalog
from journeyman.tools.target import Command, Confined

async def main():
    target = Command("raw", {(sys.executable, str(SERVERS / "raw.py"), "deaf")!r}, sandbox=Confined())
    async with anyio.create_task_group() as group, Catalog([]):
        group.start_soon(enter, target)

async def enter(target):
    async with Catalog([target]):
        pass

anyio.run(main)
"""
    async with await anyio.open_process([sys.executable, "-c", program], stdout=None, stderr=None) as process:
        with anyio.fail_after(50):
            while not (jails := children(process.pid)) or not (inner := children(jails[0])):  # noqa: ASYNC110 - elsewhere
                await anyio.sleep(0.01)

            process.send_signal(signal.SIGKILL)
            while is_alive(jails[0]) or is_alive(inner[0]):  # noqa: ASYNC110 - elsewhere
                await anyio.sleep(0.01)


def children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


async def test_where_it_runs_is_told_before_it_is_started(home, tmp_path):
    target = thief(str(home / "notes"), write=(home / "out",), hosts=("example.org",))
    line = told(target)
    assert line.endswith("; writes a home of its own, ~/out; reaches example.org")
    assert "reads " in line
    assert "~/notes" in line
    assert told(replace(target, sandbox=None)) == "outside the sandbox: it may do what you may"


async def test_no_home_is_seen_because_a_command_names_it(home):
    assert home not in seen(thief(str(home), f"--root={home.parent}", "/tmp"))


def test_of_a_program_s_file_its_whole_project_is_seen_and_no_more(tmp_path):
    for name in (
        "packages/package.json",
        "packages/node_modules/there/package.json",
        "packages/node_modules/there/a.js",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    (tmp_path / "alone.py").touch()
    words = (str(tmp_path / "packages/node_modules/there/a.js"), str(tmp_path / "alone.py"), "https://packages/")
    found = seen(Command("x", ("no-such-program", *words), cwd=None))
    assert found == [tmp_path / "packages" / "node_modules", tmp_path / "alone.py"]


async def test_a_definition_that_names_what_is_not_there_is_a_problem(home, tmp_path):
    need("native")
    found = await verdict(thief(write=(home / "out",)), Pins(tmp_path / "mcp.lock"))
    assert (found.problem, found.fix) == (
        f"MCP server 'thief' is to see {home / 'out'}, which is not there",
        f"make it (mkdir {home / 'out'}), or correct the server's entry",
    )


async def test_without_a_sandbox_on_this_machine_it_is_not_started(monkeypatch, tmp_path):
    async def probe(self) -> Probe:
        return Probe(backend="native", available=False, reason="no user namespaces", fix="allow them")

    monkeypatch.setattr(Native, "probe", probe)
    found = await verdict(thief(), Pins(tmp_path / "mcp.lock"))
    assert (found.ok, found.problem, found.fix) == snapshot(
        (
            False,
            "MCP server 'thief' is not started, for want of a sandbox: no user namespaces",
            'allow them; or let it run outside the sandbox: "sandbox": "off" in its entry of mcp.json',
        )
    )
