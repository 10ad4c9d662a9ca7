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
from journeyman.tools.pins import Pins, key
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
            "FileNotFoundError: No such file or directory",
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


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The home of the servers that `thief` makes, as it is seen outside."""
    servers = tmp_path / "journeyman" / "state" / "servers"
    (servers / key(thief()).replace(" ", "-")).mkdir(parents=True)
    return servers / key(thief()).replace(" ", "-")


async def test_what_it_left_in_its_home_has_no_say_in_what_is_mounted_where(home, kept):
    need("native")
    (home / "notes" / "deep").mkdir()
    (home / "notes" / "deep" / "b.md").write_text("another", "utf-8")
    for name in ("notes", str(home).strip("/")):
        (kept / name).parent.mkdir(parents=True, exist_ok=True)
        (kept / name).symlink_to(home / ".ssh")

    before = tree_of(home), tree_of(kept)
    note, link = home / "notes" / "a.md", home / "link"
    link.symlink_to("notes")
    target = thief(read=(home / "notes" / "deep", note, link))
    answers = await asked(
        target,
        ("take", {"path": str(home / "notes" / "deep" / "b.md")}),
        ("take", {"path": str(note)}),
        ("plant", {"path": str(note)}),
        ("plant", {"path": str(home / "notes" / "c.md")}),
        ("take", {"path": "~/notes/id_ed25519"}),
    )
    link.unlink()
    assert answers == snapshot(
        [
            "another",
            "a note",
            "OSError: Read-only file system",
            "OSError: Read-only file system",
            "FileNotFoundError: No such file or directory",
        ]
    )
    assert (tree_of(home), tree_of(kept)) == before


def tree_of(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*"))


async def test_it_is_not_told_where_its_file_system_is_made(tmp_path):
    need("native")
    (line,) = await asked(thief(), ("take", {"path": "/proc/1/cmdline"}))
    assert "thief" in line
    assert str(tmp_path) not in line


async def test_what_it_may_change_decides_not_what_it_sees_when_it_is_next_started(home, kept):
    need("native")
    (home / "notes" / "data").symlink_to(home / ".ssh")  # as it may have done
    (home / "more").symlink_to("notes/data")
    stolen = ("take", {"path": str(home / ".ssh" / "id_ed25519")}), ("plant", {"path": str(home / ".ssh" / "b")})
    words = (str(home / "notes" / "data"), f"--also={home / 'more'}")
    target = thief(*words, read=(home / "more",), write=(home / "notes", home / "notes" / "data"))
    assert await asked(target, *stolen) == ["FileNotFoundError: No such file or directory"] * 2
    assert not {home / ".ssh", home / "more"} & set(seen(target))


async def test_what_lies_below_what_it_may_change_is_seen_there(home):
    need("native")
    (home / "notes" / "data").mkdir()
    (home / "notes" / "data" / "b.md").write_text("another", "utf-8")
    note = str(home / "notes" / "data" / "b.md")
    target = thief(note, read=(home / "notes" / "data",), write=(home / "notes", home / "notes" / "data"))
    assert await asked(target, ("take", {"path": note}), ("plant", {"path": note})) == ["another", "7"]


async def test_what_may_be_changed_is_also_where_more_may_be_read(home):
    need("native")
    (home / "notes" / "out").mkdir()
    inner, outer = str(home / "notes" / "out" / "b.md"), str(home / "notes" / "c.md")
    target = thief(read=(home / "notes",), write=(home / "notes" / "out",))
    answers = await asked(target, ("plant", {"path": inner}), ("plant", {"path": outer}))
    assert answers == ["7", "OSError: Read-only file system"]


async def test_no_home_is_seen_because_a_link_leads_to_it(home, tmp_path):
    (tmp_path / "link").symlink_to(home)
    assert not {home, tmp_path / "link"} & set(seen(thief(str(tmp_path / "link"))))


async def test_a_program_that_was_a_link_and_is_replaced_starts_again(home):
    need("native")
    link = home / "bin" / "thief"
    link.parent.mkdir()
    for version in ("1.0", "1.1"):
        program = home / "opt" / version / "thief"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\nexec {sys.executable} {SERVERS / 'raw.py'} thief\n", "utf-8")
        program.chmod(0o755)

    python = tuple(Path(prefix) for prefix in {sys.prefix, sys.base_prefix})
    target = replace(thief(read=(*python, SERVERS)), command=(str(link),))
    for lead in (lambda: link.symlink_to("../opt/1.0/thief"), lambda: link.symlink_to("../opt/1.1/thief")):
        link.unlink(missing_ok=True)
        lead()
        assert len(await asked(target, ("look", {}))) == 1

    link.unlink()
    (home / "opt" / "1.1" / "thief").rename(link)
    assert len(await asked(target, ("look", {}))) == 1


@pytest.mark.parametrize("name", ["journeyman", "/", "home/" + "../" * 20])
async def test_what_would_put_its_own_ground_in_its_hands_is_refused(name, tmp_path):
    need("native")
    path = tmp_path / name
    path.mkdir(exist_ok=True)
    found = await verdict(thief(write=(path,)), Pins(tmp_path / "mcp.lock"))
    assert found.fix == "name the folders in it that the server needs"


async def test_a_program_that_it_could_exchange_for_a_link_is_refused(home, tmp_path):
    need("native")
    link = home / "notes" / "thief"
    link.symlink_to(home / ".ssh" / "id_ed25519")
    (home / ".ssh" / "id_ed25519").chmod(0o755)
    target = replace(thief(write=(home / "notes",)), command=(str(link),))
    found = await verdict(target, Pins(tmp_path / "mcp.lock"))
    assert found.problem == (
        f"MCP server 'thief' is started by {link}, which it may change, and which leads to {home}/.ssh/id_ed25519"
    )


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


def test_each_link_on_the_way_to_a_program_is_seen(tmp_path):
    """As uv lays it out: `python` of a virtual environment by way of a folder that is a link."""
    (tmp_path / "3.11.7" / "bin").mkdir(parents=True)
    (tmp_path / "3.11.7" / "lib").mkdir()
    (tmp_path / "3.11.7" / "bin" / "python3.11").touch(0o755)
    (tmp_path / "3.11").symlink_to("3.11.7")
    venv = tmp_path / "venv"
    for name in ("bin", "lib"):
        (venv / name).mkdir(parents=True)

    (venv / "pyvenv.cfg").touch()
    (venv / "bin" / "python3").symlink_to(tmp_path / "3.11" / "bin" / "python3.11")
    (venv / "bin" / "python").symlink_to("python3")
    (venv / "bin" / "serve").touch(0o755)
    (tmp_path / "serve").symlink_to("venv/../venv/bin/serve")
    found = seen(Command("x", (str(tmp_path / "serve"),)))
    assert [str(each.relative_to(tmp_path)) for each in found] == ["serve", "venv", "3.11", "3.11.7"]


async def test_a_program_behind_links_starts(home, tmp_path):
    need("native")
    (home / "programs" / "1.0").mkdir(parents=True)
    (home / "programs" / "1").symlink_to("1.0")
    (home / "programs" / "1.0" / "raw.py").write_bytes((SERVERS / "raw.py").read_bytes())
    (home / "raw.py").symlink_to(home / "programs" / "1" / "raw.py")
    target = Command("thief", (sys.executable, str(home / "raw.py"), "thief"), sandbox=Confined())
    assert await asked(target, ("plant", {"path": "~/memory"})) == ["7"]


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


def test_what_was_installed_to_be_edited_is_seen_where_it_lies(tmp_path):
    packages = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (tmp_path / "clone").mkdir()
    (packages / "it.pth").write_text(f"{tmp_path / 'clone'}\n/\nimport os\n/nowhere/at/all\n", "utf-8")
    program = tmp_path / "venv" / "bin" / "serve"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n", "utf-8")
    program.chmod(0o755)
    assert seen(Command("it", (str(program),), sandbox=Confined())) == [tmp_path / "venv", tmp_path / "clone"]
