"""The files server's further tools, through a client."""

import threading
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot
from mcp import Client

from journeyman.mcp_servers import build
from journeyman.mcp_servers.files.finding import SHOWN
from journeyman.sandbox.paths import MAX_READ, Root
from tests.mcp_servers.asked import asked


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "src/deep/er").mkdir(parents=True)
    (tmp_path / "src/a.py").write_text("import os\n\ndef walrus():\n    return 1\n")
    (tmp_path / "src/deep/b.py").write_text("walrus = 2\nWALRUS = 3\n")
    (tmp_path / "src/deep/er/c.txt").write_bytes("h\xe4ppy walrus\r\nend\r\n".encode("latin-1"))
    (tmp_path / "notes.md").write_text("# Notes\n")
    (tmp_path / ".hidden").write_text("walrus\n")
    (tmp_path / "blob.bin").write_bytes(b"walrus\0")
    return tmp_path


def kept(folder: Path) -> dict[str, bytes]:
    """The files, without those in the trash."""
    paths = (path for path in folder.rglob("*") if path.is_file() and ".trash" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def files(folder: Path) -> AbstractAsyncContextManager[Any]:
    return asked(build("files", folder, full=True))


async def test_files_are_found_by_name_and_by_what_stands_in_them(folder: Path) -> None:
    async with files(folder) as call:
        assert await call("glob", pattern="*.py") == "src/a.py\nsrc/deep/b.py"
        assert await call("glob", pattern="src/*.py") == "src/a.py"
        assert await call("glob", pattern="src/**/*.[ct]*") == "src/deep/er/c.txt"
        assert await call("glob", pattern="*.rs") == "no file matches *.rs"
        with (folder / "huge.iso").open("wb") as huge:
            huge.truncate(200_000_000)

        assert await call("glob", pattern="*.[im]*") == "huge.iso\nnotes.md"
        assert (await call("grep", pattern="zebra")).endswith("zebra\n[not looked at, too large: huge.iso]")
        (folder / "huge.iso").unlink()
        assert (
            await call("grep", pattern=r"^walrus|def \w+") == "src/a.py:3: def walrus():\nsrc/deep/b.py:1: walrus = 2"
        )
        assert await call("grep", pattern="walrus", glob="*.py", ignore_case=True) == (
            "src/a.py:3: def walrus():\nsrc/deep/b.py:1: walrus = 2\nsrc/deep/b.py:2: WALRUS = 3"
        )
        assert await call("grep", pattern="h\xe4ppy") == "src/deep/er/c.txt:1: h\xe4ppy walrus"
        assert await call("grep", pattern="return", path="src/a.py", context=1) == (
            "src/a.py:3- def walrus():\nsrc/a.py:4:     return 1"
        )
        assert await call("tree", depth=2) == snapshot(
            """\
.hidden
blob.bin
notes.md
src/
  a.py
  deep/ [2]\
"""
        )


async def test_what_gitignore_names_is_looked_at_only_where_that_is_asked_for(folder: Path) -> None:
    (folder / ".gitignore").write_text("deep/\n*.bin\n")
    async with files(folder) as call:
        for tool, arguments in (("glob", {"pattern": "*.py"}), ("grep", {"pattern": "walrus"}), ("tree", {"depth": 3})):
            assert "b.py" not in await call(tool, **arguments)
            assert "b.py" in await call(tool, **arguments, ignored=True)

        assert await call("glob", pattern="*.py", path="src/deep") == "src/deep/b.py"
        assert await call("tree", path="src/deep", depth=1) == "b.py\ner/ [1]"


async def test_results_are_data_too(folder: Path) -> None:
    async with Client(build("files", folder, full=True)) as client:

        async def data(tool: str, **arguments: Any) -> Any:
            return (await client.call_tool(tool, arguments)).structured_content

        await client.list_tools()  # the client checks what comes against what was declared
        assert await data("glob", pattern="*.py") == {"paths": ["src/a.py", "src/deep/b.py"], "next": None}
        assert await data("grep", pattern="WALRUS", context=1) == {
            "matches": [{"path": "src/deep/b.py", "line": 2, "text": "WALRUS = 3"}],
            "next": None,
        }
        assert await data("list", path="src") == {
            "entries": [{"name": "a.py", "kind": "file"}, {"name": "deep", "kind": "folder"}],
            "more": False,
        }
        wrote = {"path": "new.txt", "kind": "file", "bytes": 4, "lines": 1, "words": None, "entries": None}
        assert await data("write", path="new.txt", content="one\n") == wrote
        assert await data("edit", path="new.txt", old="one", new="two") == wrote


async def test_long_results_say_how_to_go_on(folder: Path) -> None:
    (folder / "many.txt").write_text("".join(f"hit {n}\n" for n in range(SHOWN + 5)))
    async with files(folder) as call:
        first = (await call("grep", pattern="hit")).splitlines()
        assert (len(first), first[-1]) == (SHOWN + 1, f"[there are more; go on with skip={SHOWN}]")
        rest = (await call("grep", pattern="hit", skip=SHOWN)).splitlines()
        assert (len(rest), rest[0]) == (5, f"many.txt:{SHOWN + 1}: hit {SHOWN}")

    async with Client(build("files", folder, full=True)) as client:
        data = (await client.call_tool("grep", {"pattern": "hit"})).structured_content
        assert data is not None
        assert (len(data["matches"]), data["next"]) == (SHOWN, SHOWN)


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("grep", {"pattern": "("}, "( is no regular expression: "),
        ("grep", {"pattern": "x", "path": "../.."}, "../.. is outside the folder"),
        ("glob", {"pattern": "../*"}, "../* is no pattern for files here"),
        ("glob", {"pattern": "/etc/*"}, "/etc/* is no pattern for files here"),
        ("tree", {"path": "/etc"}, "/etc is outside the folder"),
        ("move", {"source": "../x", "target": "y"}, "../x is outside the folder"),
        ("move", {"source": "notes.md", "target": "../y"}, "../y is outside the folder"),
        ("move", {"source": "notes.md", "target": "src/a.py"}, "src/a.py is there already"),
        ("move", {"source": "link/passwd", "target": "y"}, "link is outside the folder"),
        ("move", {"source": "notes.md", "target": "link/y"}, "link is outside the folder"),
        ("delete", {"path": "."}, ". is no name for a file"),
        ("delete", {"path": "gone.md"}, "no such file: gone.md"),
        ("undo", {}, "there is nothing to undo"),
    ],
)
async def test_what_leaves_the_folder_or_makes_no_sense_is_refused(
    folder: Path, tool: str, arguments: dict[str, str], told: str
) -> None:
    (folder / "link").symlink_to("/etc")
    async with files(folder) as call:
        assert told in await call(tool, **arguments)

    assert (folder / "notes.md").read_text() == "# Notes\n"


async def test_a_pattern_that_never_ends_is_stopped_and_blocks_nobody(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "slow.txt").write_text("a" * 5000 + "b\n")
    monkeypatch.setattr("journeyman.mcp_servers.files.finding.SECONDS", 5.0)
    async with files(folder) as call, anyio.create_task_group() as others:
        told: list[str] = []

        async def grep() -> None:
            told.append(await call("grep", pattern="(a|a)*$|(a+)+c", path="slow.txt"))

        others.start_soon(grep)
        with anyio.fail_after(50):
            assert await call("read", path="notes.md") == "# Notes"
            assert told == []
            while not told:
                await anyio.lowlevel.checkpoint()

    assert "takes longer than" in told[0] or "slow.txt:1:" in told[0]


async def test_every_change_is_shown_and_taken_back_in_turn(folder: Path) -> None:
    before = kept(folder)
    async with files(folder) as call:
        await call("edit", path="src/deep/er/c.txt", old="end", new="END")
        await call("write", path="new.txt", content="new\n")
        await call("move", source="notes.md", target="docs/notes.md")
        deleted = await call("delete", path="src/deep")
        assert deleted.startswith("deleted src/deep; it is kept as .trash/")
        assert not (folder / "src/deep").exists()
        assert "-new" not in await call("diff")
        assert [await call("undo") for _ in range(2)] == ["undone: delete src/deep", "undone: move notes.md"]
        assert await call("diff") == snapshot(
            """\
--- a/src/deep/er/c.txt
+++ b/src/deep/er/c.txt
@@ -1,2 +1,2 @@
 h\xe4ppy walrus\r
-end\r
+END\r
--- nothing
+++ b/new.txt
@@ -0,0 +1 @@
+new
"""
        )
        assert [await call("undo") for _ in range(2)] == ["undone: write new.txt", "undone: edit src/deep/er/c.txt"]
        assert await call("diff") == "nothing was changed in this session"

    assert kept(folder) == before


async def test_what_somebody_else_changed_since_is_not_undone(folder: Path) -> None:
    async with files(folder) as call:
        await call("write", path="notes.md", content="mine\n")
        (folder / "notes.md").write_text("theirs\n")
        assert await call("undo") == "error: notes.md was changed again by something else; nothing was undone"

    assert (folder / "notes.md").read_text() == "theirs\n"


async def test_a_file_too_large_to_remember_comes_back_too(folder: Path) -> None:
    big = b"log line\n" * (MAX_READ // 9 + 1)
    (folder / "big.log").write_bytes(big)
    async with files(folder) as call:
        told = await call("write", path="big.log", content="short\n")
        assert told.startswith("wrote big.log: 1 line, 6 bytes; what was there is kept as .trash/")
        assert "big.log as it was: .trash/" in await call("diff")
        await call("write", path="big.log", content="shorter\n")
        assert [await call("undo") for _ in range(2)] == ["undone: write big.log"] * 2
        assert (folder / "big.log").read_bytes() == big

        (folder / "big.log").chmod(0o444)
        assert await call("write", path="big.log", content="") == "error: big.log is protected against writing"
        assert await call("undo") == "error: there is nothing to undo: nothing was changed in this session"

    assert (folder / "big.log").read_bytes() == big


class Held(Root):
    """Long files are read when they are let go."""

    let_go = threading.Event()

    def blocks(self, path: str) -> Generator[bytes]:
        assert self.let_go.wait(50)
        return super().blocks(path)


async def test_the_oldest_changes_are_forgotten_where_they_are_too_many(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("journeyman.mcp_servers.files.journal.KEPT", 20)
    async with files(folder) as call:
        for text in ("# Newer\n", "# Newest\n", "# Last\n"):
            await call("write", path="notes.md", content=text)

        told = [await call("undo") for _ in range(3)]
        assert [each.partition(":")[0] for each in told] == ["undone", "undone", "error"]
        assert await call("read", path="notes.md") == "# Newer"


async def test_any_part_of_a_very_long_file_can_be_read_while_others_read_theirs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (folder / "long.log").open("wb") as file:
        for block in range(110):
            file.write(b"".join(b"line %07d %s\n" % (block * 10_000 + n, b"x" * 87) for n in range(10_000)))

    assert (folder / "long.log").stat().st_size > 100_000_000
    monkeypatch.setattr("journeyman.mcp_servers.files.server.Root", Held)
    async with files(folder) as call, anyio.create_task_group() as others:
        told: list[str] = []

        async def read() -> None:
            told.append(await call("read", path="long.log", start=1_000_001, lines=2))

        others.start_soon(read)
        with anyio.fail_after(50):
            assert await call("read", path="notes.md") == "# Notes"
            assert (await call("write", path="notes.md", content="new\n")).startswith("wrote")

        assert told == []
        Held.let_go.set()

    first, second, rest = told[0].splitlines()
    assert (first[:12], second[:12]) == ("line 1000000", "line 1000001")
    assert rest == "[lines 1000001-1000002 of 1100001; go on with start=1000003]"
