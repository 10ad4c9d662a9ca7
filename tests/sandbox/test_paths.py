import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from journeyman.errors import SandboxError, ToolError, UsageError
from journeyman.sandbox import beneath
from journeyman.sandbox.beneath import Open, best_open, openat2, walk
from journeyman.sandbox.paths import MAX_WRITE, Root
from journeyman.sandbox.refusals import told

OPENERS = {"openat2": best_open(), "walk": walk}


@pytest.fixture(params=OPENERS)
def opener(request: pytest.FixtureRequest) -> Open:
    return OPENERS[request.param]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a secret beside it, and every kind of trap inside."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "root-evil").mkdir()
    (tmp_path / "root-evil" / "near.txt").write_text("secret")
    root = tmp_path / "root"
    (root / "docs").mkdir(parents=True)
    (root / "notes.txt").write_text("one\ntwo\n")
    (root / "docs" / "guide.md").write_text("guide")
    (root / "out").symlink_to(tmp_path)
    (root / "out.txt").symlink_to("../secret.txt")
    (root / "absolute.txt").symlink_to(tmp_path / "secret.txt")
    (root / "proc").symlink_to("/proc/self/cwd")
    (root / "loop").symlink_to("loop")
    (root / "inner.txt").symlink_to("notes.txt")
    os.mkfifo(root / "fifo")
    with (root / "sparse.bin").open("wb") as file:
        file.truncate(256 << 30)

    return root


def refusal(root: Root, path: str) -> str:
    with pytest.raises(ToolError) as refused:
        root.read(path)

    return str(refused.value)


def test_this_machine_has_the_race_free_call() -> None:
    assert best_open() is openat2


def test_a_file_is_read_by_its_relative_and_by_its_absolute_path(folder: Path, opener: Open) -> None:
    root = Root(folder, opener=opener)
    for path in ("notes.txt", "./notes.txt", ".//notes.txt", str(folder / "notes.txt")):
        assert root.read(path).data == b"one\ntwo\n"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "docs/../../secret.txt",
        "/etc/passwd",
        "//etc/passwd",
        "../root-evil/near.txt",
        "..",
        "docs/../..",
        "/",
    ],
)
def test_what_lies_outside_is_refused(folder: Path, opener: Open, path: str) -> None:
    assert "is outside the folder the tools may use" in refusal(Root(folder, opener=opener), path)


@pytest.mark.parametrize("path", ["out.txt", "absolute.txt", "out/secret.txt", "proc/secret.txt", "loop"])
def test_a_link_that_leaves_is_not_followed(folder: Path, opener: Open, path: str) -> None:
    said = refusal(Root(folder, opener=opener), path)
    assert "is outside the folder" in said or "is a link that may not be followed" in said or "is not a folder" in said


def test_a_link_that_stays_inside_is_followed_where_the_kernel_confines_it(folder: Path) -> None:
    assert Root(folder).read("inner.txt").data == b"one\ntwo\n"
    assert refusal(Root(folder, opener=walk), "inner.txt") == "inner.txt is a link that may not be followed"


def test_what_is_no_regular_file_is_refused_without_waiting_for_it(folder: Path, opener: Open) -> None:
    root = Root(folder, opener=opener)
    assert [refusal(root, path) for path in ("fifo", "docs", ".", "notes.txt/x", "sparse.bin")] == snapshot(
        [
            "fifo is not a regular file",
            "docs is a folder, not a file",
            ". is a folder, not a file",
            "notes.txt/x is not a folder",
            "sparse.bin has 274877906944 bytes; at most 8388608 can be read",
        ]
    )


def test_a_file_without_a_size_is_read_up_to_the_limit_only() -> None:
    with pytest.raises(ToolError, match="more than 10 bytes"):
        Root("/proc/self").read("status", limit=10)


def test_a_missing_file_is_answered_with_what_may_have_been_meant(folder: Path, opener: Open) -> None:
    root = Root(folder, opener=opener)
    paths = ("note.txt", "guide.md", "docs/guid.md", "zzz", "docs/zzz", "nowhere/zzz", "a/" * 1500 + "b")
    assert [refusal(root, path)[-90:] for path in paths] == snapshot(
        [
            "no such file: note.txt; did you mean notes.txt or out.txt or inner.txt?",
            "no such file: guide.md; did you mean docs/guide.md?",
            "no such file: docs/guid.md; did you mean docs/guide.md?",
            "are: absolute.txt, docs/, fifo, inner.txt, loop, notes.txt, out, out.txt, proc, sparse.bin",
            "no such file: docs/zzz; in docs are: guide.md",
            "are: absolute.txt, docs/, fifo, inner.txt, loop, notes.txt, out, out.txt, proc, sparse.bin",
            "are: absolute.txt, docs/, fifo, inner.txt, loop, notes.txt, out, out.txt, proc, sparse.bin",
        ]
    )


def test_names_that_are_no_names_are_refused(folder: Path, opener: Open) -> None:
    root = Root(folder, opener=opener)
    assert [refusal(root, path)[:60] for path in ("", "  ", "a\0b", "\ud800", "x" * 300)] == snapshot(
        [
            "the path is empty; give the name of a file or a folder",
            "the path is empty; give the name of a file or a folder",
            "a\\x00b is no name for a file",
            "\\ud800 is no name for a file",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ]
    )


@given(st.text(max_size=30))
def test_no_path_at_all_raises_anything_but_a_tool_error(path: str) -> None:
    for opener in OPENERS.values():
        with pytest.raises(ToolError) as refused:
            Root("/proc/self/fdinfo", opener=opener).read(path, limit=1)

        assert str(refused.value).isprintable()


def test_a_folder_is_listed_with_links_told_as_links(folder: Path, opener: Open) -> None:
    entries, more = Root(folder, opener=opener).list()
    assert not more
    assert {entry.name: entry.kind for entry in entries} == snapshot(
        {
            "absolute.txt": "link",
            "docs": "folder",
            "fifo": "other",
            "inner.txt": "link",
            "loop": "link",
            "notes.txt": "file",
            "out": "link",
            "out.txt": "link",
            "proc": "link",
            "sparse.bin": "file",
        }
    )


def test_a_list_that_is_too_long_says_so(folder: Path, opener: Open) -> None:
    entries, more = Root(folder, opener=opener).list(limit=3)
    assert (len(entries), more) == (3, True)


def test_writing_creates_folders_and_replaces_whole_files(folder: Path, opener: Open) -> None:
    root = Root(folder, opener=opener)
    root.write("new/deep/file.txt", b"1")
    root.write("new/deep/file.txt", b"22")
    assert (folder / "new" / "deep" / "file.txt").read_bytes() == b"22"
    assert [path.name for path in (folder / "new" / "deep").iterdir()] == ["file.txt"]


def test_writing_keeps_the_mode_of_a_replaced_file(folder: Path, opener: Open) -> None:
    (folder / "notes.txt").chmod(0o750)
    Root(folder, opener=opener).write("notes.txt", b"x")
    assert stat.S_IMODE((folder / "notes.txt").stat().st_mode) == 0o750


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../secret.txt", "outside"),
        ("/etc/motd", "outside"),
        ("out/new.txt", "outside|link|not a folder"),
        ("out/deep/new.txt", "outside|link|not a folder"),
        ("inner.txt", "is a link; write to the file it points to"),
        ("out.txt", "is a link; write to the file it points to"),
        ("fifo", "is not a regular file"),
        ("docs", "is a folder"),
        ("docs/", "names a folder"),
        ("docs/..", "without the .."),
        ("new/../../x", "without the .."),
        (".", "names a folder"),
        ("notes.txt/x", "is not a folder"),
        ("bad\x1b[2J.txt", r"bad\\x1b\[2J.txt is no name for a file"),
        ("bad\nname/x.txt", "no name for a file"),
        ("new/bad\nname/x.txt", "no name for a file"),
    ],
)
def test_what_may_not_be_written_is_refused(folder: Path, opener: Open, path: str, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        Root(folder, opener=opener).write(path, b"x")

    assert not (folder / "new").exists()
    assert (folder.parent / "secret.txt").read_text() == "secret"
    assert sorted(path.name for path in folder.parent.iterdir()) == ["root", "root-evil", "secret.txt"]


def test_a_protected_file_and_too_many_bytes_are_refused(folder: Path) -> None:
    (folder / "notes.txt").chmod(0o444)
    with pytest.raises(ToolError, match="protected against writing"):
        Root(folder).write("notes.txt", b"x")

    with pytest.raises(ToolError, match="too many for one file"):
        Root(folder).write("big.txt", b"x" * (MAX_WRITE + 1))


def test_a_failed_write_leaves_nothing_behind(folder: Path) -> None:
    (folder / "there").mkdir()
    (folder / "there" / "file").mkdir()
    with pytest.raises(ToolError):
        Root(folder).write("there/file", b"x")

    assert [path.name for path in (folder / "there").iterdir()] == ["file"]


def test_a_link_swapped_while_we_look_never_leads_out(folder: Path, opener: Open) -> None:
    """One thread turns a link inside and outside as fast as it can; the other reads and writes through it."""
    root = Root(folder, opener=opener)
    (folder / "docs" / "secret.txt").write_text("inside")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for target in ("docs", "..", "docs", folder.parent):
                (folder / "new").symlink_to(target)
                (folder / "new").replace(folder / "swap")

    swapper = threading.Thread(target=swap)
    swapper.start()
    read = set()
    try:
        for _ in range(2000):
            with suppress(ToolError):
                read.add(root.read("swap/secret.txt").data)
                root.write("swap/written.txt", b"x")
    finally:
        done.set()
        swapper.join()

    assert read == (set() if opener is walk else {b"inside"})
    assert sorted(path.name for path in folder.parent.iterdir()) == ["root", "root-evil", "secret.txt"]
    assert (folder.parent / "secret.txt").read_text() == "secret"


def test_a_root_that_is_no_folder_is_a_misuse(folder: Path) -> None:
    for path in (folder / "notes.txt", folder / "missing"):
        with pytest.raises(UsageError, match="is not a folder"):
            Root(path)


def test_a_root_goes_on_working_when_the_process_changes_its_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    root = Root(".")
    monkeypatch.chdir("/")
    assert root.read("notes.txt").data == b"one\ntwo\n"


def test_a_root_that_vanishes_is_told(folder: Path, opener: Open) -> None:
    root = Root(folder, opener=opener)
    folder.rename(folder.parent / "elsewhere")
    for call in (lambda: root.read("notes.txt"), root.list, lambda: root.write("a/b.txt", b"x")):
        with pytest.raises(ToolError) as refused:
            call()

        assert str(refused.value) == "the folder the tools may use cannot be opened any more: no such file or directory"


def test_without_the_race_free_call_paths_are_walked_and_without_either_nothing_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(beneath, "SYS_OPENAT2", 100_000)
    assert best_open.__wrapped__() is walk
    monkeypatch.setattr(os, "supports_dir_fd", set())
    with pytest.raises(SandboxError, match="cannot open files confined to a folder"):
        best_open.__wrapped__()


def test_reading_leaves_no_descriptor_open(folder: Path, opener: Open) -> None:
    root = Root(folder, opener=opener)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in ("notes.txt", "docs", "missing", "out.txt", "fifo"):
        with suppress(ToolError):
            root.read(path)

    root.list()
    root.write("new/x.txt", b"")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@given(st.text())
def test_a_told_path_is_printable(path: str) -> None:
    assert told(path).isprintable()
