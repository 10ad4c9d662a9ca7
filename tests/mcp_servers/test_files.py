import codecs
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from journeyman.errors import ToolError
from journeyman.mcp_servers.files.editing import replace
from journeyman.mcp_servers.files.text import Text, decode
from journeyman.mcp_servers.files.workspace import Facts, Workspace
from journeyman.sandbox.entry import Content
from journeyman.sandbox.paths import MAX_READ, Root

BOM = codecs.BOM_UTF8


@pytest.fixture
def files(tmp_path: Path) -> Workspace:
    return Workspace(Root(tmp_path))


def refusal(call: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(ToolError) as refused:
        call(*arguments)

    return str(refused.value)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"one two\nthree\n", "f.txt: 2 lines, 3 words, 14 bytes"),
        (b"one two\nthree", "f.txt: 2 lines, 3 words, 13 bytes"),
        (b"", "f.txt: 0 lines, 0 words, 0 bytes"),
        (b"\n", "f.txt: 1 line, 0 words, 1 byte"),
        (b"\n\n", "f.txt: 2 lines, 0 words, 2 bytes"),
        (b"a\r\nb\r\n", "f.txt: 2 lines, 2 words, 6 bytes"),
        (b"a\rb\r", "f.txt: 2 lines, 2 words, 4 bytes"),
        ("a\x0bb\x0cc\x85d\u2028e\n".encode(), "f.txt: 1 line, 5 words, 13 bytes"),
        ("é\n".encode(), "f.txt: 1 line, 1 word, 3 bytes"),
        (b"caf\xe9\n", "f.txt: 1 line, 1 word, 5 bytes"),
        ("a b\n".encode("utf-16"), "f.txt: 1 line, 2 words, 10 bytes"),
        (b"\x7fELF\x00\x01", "f.txt: binary, 6 bytes"),
    ],
)
def test_info_counts_as_a_person_does(files: Workspace, tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "f.txt").write_bytes(data)
    assert files.info("f.txt").text == text


def test_info_tells_what_is_no_text_file(files: Workspace, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a").touch()
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_READ + 1)

    assert [files.info(path) for path in ("docs", "huge")] == [
        Facts("docs", "folder", entries=1),
        Facts("huge", "too large to count", bytes=MAX_READ + 1),
    ]
    assert [files.info(path).text for path in ("docs", "huge")] == snapshot(
        ["docs: folder, 1 entry", "huge: too large to count, 8388609 bytes"]
    )


def test_info_does_not_count_a_folder_in_part(
    files: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (tmp_path / name).touch()

    monkeypatch.setattr(Root.list, "__kwdefaults__", {"limit": 2, "hints": True})
    assert files.info(".").text == ".: folder too large to count"


def test_read_gives_lines_and_says_where_to_go_on(files: Workspace, tmp_path: Path) -> None:
    (tmp_path / "n").write_text("".join(f"line {n}\n" for n in range(1, 6)))
    assert [
        files.read("n"),
        files.read("n", 1, 2),
        files.read("n", 3, 2),
        files.read("n", 4),
        files.read("n", 1, 5),
    ] == [
        "line 1\nline 2\nline 3\nline 4\nline 5",
        "line 1\nline 2\n[lines 1-2 of 5; go on with start=3]",
        "line 3\nline 4\n[lines 3-4 of 5; go on with start=5]",
        "line 4\nline 5\n[lines 4-5 of 5]",
        "line 1\nline 2\nline 3\nline 4\nline 5",
    ]


def test_read_is_bounded_however_long_lines_or_files_are(files: Workspace, tmp_path: Path) -> None:
    (tmp_path / "long").write_text("x" * 1_000_000)
    (tmp_path / "many").write_text("y" * 100 + "\n" + ("z" * 1999 + "\n") * 3000)
    assert files.read("long").endswith("x [... 998000 more characters]")
    assert len(files.read("long")) < 2_100
    many = files.read("many", 1, 1_000_000)
    assert len(many) < 17_000
    assert many.endswith("[lines 1-8 of 3001; go on with start=9]")


def test_read_refuses_lines_that_are_not_there(files: Workspace, tmp_path: Path) -> None:
    (tmp_path / "two").write_text("a\nb\n")
    (tmp_path / "none").touch()
    assert files.read("none") == "none is empty"
    assert [refusal(files.read, "two", 3), refusal(files.read, "two", 0), refusal(files.read, "two", 1, 0)] == [
        "two has only 2 lines; there is no line 3",
        "start and lines count from 1",
        "start and lines count from 1",
    ]


def test_binary_files_are_refused_politely(files: Workspace, tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0")
    (tmp_path / "odd").write_bytes(codecs.BOM_UTF16_LE + b"a")
    assert refusal(files.read, "logo.png") == "logo.png is a binary file with 11 bytes, not text"
    assert refusal(files.edit, "logo.png", "a", "b") == "logo.png is a binary file with 11 bytes, not text"
    assert refusal(files.read, "odd") == "odd begins like utf-16-le text but is not"


def test_list_gives_names_with_folders_marked(files: Workspace, tmp_path: Path) -> None:
    assert files.list()[0] == "the folder is empty"
    (tmp_path / "docs").mkdir()
    (tmp_path / "b.txt").touch()
    (tmp_path / ".hidden").touch()
    (tmp_path / "bad\x1b[2J\n").touch()
    (tmp_path / b"\xff".decode(errors="surrogateescape")).touch()
    assert files.list()[0] == ".hidden\nb.txt\nbad\\x1b[2J\\n\ndocs/\n\\udcff"
    assert files.list("docs")[0] == "docs is empty"
    assert refusal(files.list, "b.txt") == "b.txt is not a folder"


def test_a_long_list_is_cut(files: Workspace, tmp_path: Path) -> None:
    for number in range(250):
        (tmp_path / f"{number:03}").touch()

    lines = files.list()[0].split("\n")
    assert (len(lines), lines[0], lines[-1]) == (201, "000", "[200 of 250 names]")


def test_write_says_what_it_wrote(files: Workspace, tmp_path: Path) -> None:
    assert files.write("new/notes.txt", "one\ntwo\nthrée")[0] == "wrote new/notes.txt: 3 lines, 14 bytes"
    assert (tmp_path / "new" / "notes.txt").read_bytes() == "one\ntwo\nthrée".encode()
    assert files.write("new/notes.txt", "")[0] == "wrote new/notes.txt: 0 lines, 0 bytes"
    assert refusal(files.write, "x", "\ud800") == "'\\ud800' cannot be written in this file, which is utf-8"
    assert refusal(files.write, "x", "x" * 5_000_000) == snapshot(
        "5000000 bytes are too many for one file; at most 4194304 can be written"
    )


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        (b"a\nb\n", "b", "c", b"a\nc\n"),
        (b"a\r\nb\r\nc\r\n", "a\nb", "x\ny\nz", b"x\r\ny\r\nz\r\nc\r\n"),
        (b"a\r\nb\r\n", "a\r\nb", "x", b"x\r\n"),
        (b"a\nb\r\nc\r\nd", "b\nc", "x", b"a\nx\r\nd"),
        (b"a\nb\r\nc\nd\n", "\nc\n", "\n", b"a\nb\nd\n"),
        (b"a\rb\r", "a\nb", "c\nd", b"c\rd\r"),
        (BOM + b"a\n", "a", "b", BOM + b"b\n"),
        (b"caf\xe9 one", "one", "t\u00e9", b"caf\xe9 t\xe9"),
        (b"\x93quoted\x94 \x81", "quoted", "said", b"\x93said\x94 \x81"),
        ("é\n".encode("utf-16"), "é", "ü", "ü\n".encode("utf-16")),
        (b"x(.*)y", "(.*)", "[", b"x[y"),
        (b"tail", "tail", "", b""),
    ],
)
def test_edit_changes_what_is_asked_and_nothing_else(  # noqa: PLR0917
    files: Workspace, tmp_path: Path, before: bytes, old: str, new: str, after: bytes
) -> None:
    (tmp_path / "f").write_bytes(before)
    assert files.edit("f", old, new)[0].startswith("edited f: ")
    assert (tmp_path / "f").read_bytes() == after


def test_edit_refuses_what_is_not_exactly_one_place(files: Workspace, tmp_path: Path) -> None:
    text = "port = 80\nhost = a\nport = 81\nport = 82\naaa\n"
    (tmp_path / "f").write_text(text)
    assert [
        refusal(files.edit, "f", "port", "x"),
        refusal(files.edit, "f", "aa", "x"),
        refusal(files.edit, "f", "hots = a", "x"),
        refusal(files.edit, "f", "host  =  a", "x"),
        refusal(files.edit, "f", "nothing of the kind", "x"),
        refusal(files.edit, "f", "", "x"),
        refusal(files.edit, "f", "host", "host"),
        refusal(files.edit, "g", "host", "x"),
    ] == snapshot(
        [
            "f contains that text 3 times (lines 1, 3, 4); give more of the text around it",
            "f contains that text 2 times (lines 5, 5); give more of the text around it",
            "f does not contain that text; nearest is line 2: host = a",
            "f does not contain that text; nearest is line 2: host = a",
            "f does not contain that text",
            "old is empty; give the text to replace, or use write for the whole file",
            "old and new are the same; nothing would change",
            "no such file: g; here are: f",
        ]
    )
    assert (tmp_path / "f").read_text() == text


class Meddled(Root):
    """Somebody else writes a file right after it was read."""

    def read(self, path: str, *, limit: int = MAX_READ) -> Content:
        found = super().read(path, limit=limit)
        (self.folder / path).write_text("theirs\n")
        return found


def test_edit_does_not_undo_what_somebody_else_wrote_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("ours\n")
    told = refusal(Workspace(Meddled(tmp_path)).edit, "f", "ours", "mine")
    assert told == "f was changed by something else meanwhile; read it again"
    assert ((tmp_path / "f").read_text(), [each.name for each in tmp_path.iterdir()]) == ("theirs\n", ["f"])


def test_edit_does_not_corrupt_what_its_encoding_cannot_hold(files: Workspace, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"caf\xe9 \x81")
    assert refusal(files.edit, "f", "caf", "\u6f22") == "'\u6f22' cannot be written in this file, which is latin-1"
    assert (tmp_path / "f").read_bytes() == b"caf\xe9 \x81"


def test_edits_at_the_same_time_are_all_kept(files: Workspace, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("".join(f"<{n}>\n" for n in range(40)))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: files.edit("f", f"<{n}>", f"[{n}]"), range(40)))

    assert (tmp_path / "f").read_text() == "".join(f"[{n}]\n" for n in range(40))


def test_an_edit_that_matches_almost_everywhere_is_refused_soon(files: Workspace, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a" * 4_000_000)
    assert "contains that text 100 or more times" in refusal(files.edit, "f", "a" * 10_000, "b")


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_decoding_and_encoding_gives_the_same_bytes_back(data: bytes) -> None:
    try:
        file = decode(data, "f")
    except ToolError:
        return

    assert file.encode(file.text) == data
    assert len(file.lines) == file.text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + (
        file.text != "" and file.text[-1] not in "\r\n"
    )


@given(
    st.lists(st.sampled_from(["a", "bb", "\n", "\r\n", "\r", "é", "(", "."]), max_size=30).map("".join),
    st.integers(0, 30),
    st.integers(1, 10),
)
def test_an_edit_keeps_every_byte_outside_its_place(text: str, start: int, length: int) -> None:
    old = text[start : start + length]
    try:
        edited = replace("f", Text(text, "utf-8"), old, "NEW")
    except ToolError:
        return

    place = edited.index("NEW")
    assert text.startswith(edited[:place])
    assert text.endswith(edited[place + 3 :])
    middle = text[place : len(text) - len(edited[place + 3 :])]
    assert middle.replace("\r\n", "\n").replace("\r", "\n") == old.replace("\r\n", "\n").replace("\r", "\n")
