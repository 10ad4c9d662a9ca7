import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from journeyman.errors import ToolError
from journeyman.mcp_servers.search import walk
from journeyman.mcp_servers.search.chunks import chunks
from journeyman.mcp_servers.search.hits import CLOSE, OPEN, Hit, hit
from journeyman.mcp_servers.search.index import Index, _Known
from journeyman.mcp_servers.search.query import all_of, begins, words
from journeyman.mcp_servers.search.walk import Walk
from journeyman.mcp_servers.search.watch import Watch
from journeyman.sandbox.paths import Root
from tests.need import need

FILES = {
    "museum.md": """\
# City Museum

The museum shows local history.

## Opening hours

Monday to Friday 9:00 to 17:00.

## Prices

- Adults: 12 euros
- Children: 4 euros
""",
    "zoo.md": "# Zoo\n\nThe opening hour of the zoo is 8:00.\nTickets cost 20 euros.\n",
    "work/projects.md": "# Projects\n\n- Alder is owned by the Bridge team.\n- Birch is owned by the Canal team.\n",
    "work/teams.md": """\
# Teams

| Team | Leader |
|---|---|
| Bridge | Ann Smith |
| Canal | Bob Jones |

The Bridge team meets every second Tuesday in the large room on the third
floor of building seven. Bring coffee.
""",
    "code/tax.py": "RATE = 0.19\n\n\ndef tax(amount):\n    return amount * RATE\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

    return root


@pytest.fixture(params=["fts5", "tantivy"])
def index(folder: Path, request: pytest.FixtureRequest) -> Iterator[Index]:
    if request.param == "tantivy":
        need("tantivy")

    index = Index(Root(folder), backend=request.param)
    yield index
    index.close()


def found(index: Index, question: str, k: int = 5) -> list[str]:
    return [str(hit) for hit in index.search(question, k)[0]]


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("what is the opening hour of the museum?", "museum.md:7: Monday to Friday 9:00 to 17:00. (Opening hours)"),
        ("When does the zoo open?", "zoo.md:3: The opening hour of the zoo is 8:00."),
        ("What does a ticket for the zoo cost?", "zoo.md:4: Tickets cost 20 euros."),
        ("price for children at the museum", "museum.md:12: - Children: 4 euros"),
        ("Who leads the Bridge team?", "work/teams.md:5: | Bridge | Ann Smith | (Team | Leader)"),
        ("project Alder", "work/projects.md:3: - Alder is owned by the Bridge team."),
        ("Canal leader", "work/teams.md:6: | Canal | Bob Jones |"),
        (
            "Where does the Bridge team meet on Tuesday?",
            (
                "work/teams.md:8: The Bridge team meets every second Tuesday in the large room on the third floor of"
                " building seven. Bring coffee."
            ),
        ),
        ("return tax rate", "code/tax.py:5: return amount * RATE"),
        ('"local history"', "museum.md:3: The museum shows local history."),
        ("CHILDREN", "museum.md:12: - Children: 4 euros"),
    ],
)
def test_a_question_in_plain_words_finds_the_line_that_answers_it(index: Index, question: str, first: str) -> None:
    assert found(index, question)[0] == first


def test_pieces_with_all_words_come_before_pieces_with_some(index: Index) -> None:
    first, *others = found(index, "opening hour museum")
    assert first == "museum.md:7: Monday to Friday 9:00 to 17:00. (Opening hours)"
    assert sorted(others) == [
        "museum.md:11: - Adults: 12 euros",
        "museum.md:3: The museum shows local history.",
        "zoo.md:3: The opening hour of the zoo is 8:00.",
    ]


def test_the_same_question_has_the_same_answer_every_time(folder: Path, index: Index) -> None:
    other = Index(Root(folder), backend=index._asked)
    for question in ("the", "team", "museum zoo team euros", "is owned by"):
        assert found(index, question, 20) == found(other, question, 20) == found(index, question, 20)

    other.close()


@pytest.mark.parametrize(
    "question",
    ["foo-bar", "C++", "col:x", '"', '""', "a AND", "NEAR(a b)", "body : x", "*", "x*", "(", "^a", "-a", "a\0b"],
)
def test_nothing_in_a_question_is_syntax(index: Index, question: str) -> None:
    try:
        index.search(question)
    except ToolError as error:
        assert str(error) == "the query has no words; give the words to look for"  # noqa: PT017 - either is right


@settings(deadline=None)  # it opens a database
@given(st.text(max_size=60))
def test_any_text_makes_a_query_that_the_database_takes(question: str) -> None:
    terms = words(question)
    if not terms:
        return

    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE t USING fts5 (body)")
    for query in (all_of(terms), *map(begins, terms)):
        database.execute("SELECT * FROM t WHERE t MATCH ?", (query.encode(errors="replace").decode(),)).fetchall()

    database.close()


@pytest.mark.parametrize(
    ("question", "terms"),
    [
        ("What is the opening hour of the museum?", ["opening", "hour", "museum"]),
        ("what's the team's name?", ["team's", "name"]),
        ('who said "to be or not"', ["said", "to be or not"]),
        ("the who", ["the", "who"]),
        ("Alder alder ALDER", ["Alder"]),
        ("?! ...", []),
        ("\u6f22\u5b57 \u00fcber", ["\u6f22\u5b57", "\u00fcber"]),
    ],
)
def test_the_words_that_matter_are_taken_from_a_question(question: str, terms: list[str]) -> None:
    assert words(question) == terms


def test_a_question_without_words_or_with_a_silly_count_is_refused(index: Index) -> None:
    for question, k, reason in (("??", 5, "has no words"), ("zoo", 0, "k goes from 1"), ("zoo", 21, "k goes from 1")):
        with pytest.raises(ToolError, match=reason):
            index.search(question, k)


def test_what_changes_is_found_at_once_and_what_is_gone_is_not(folder: Path, index: Index) -> None:
    assert found(index, "penguin") == []
    (folder / "zoo.md").write_text("# Zoo\n\nThe penguins are fed at 8:15.\n")
    assert found(index, "penguin") == ["zoo.md:3: The penguins are fed at 8:15."]
    (folder / "zoo.md").write_text("# Zoo\n\nThe penguins are fed at 9:15.\n")
    assert found(index, "penguin") == ["zoo.md:3: The penguins are fed at 9:15."]
    (folder / "zoo.md").rename(folder / "park.md")
    assert found(index, "penguin") == ["park.md:3: The penguins are fed at 9:15."]
    (folder / "park.md").unlink()
    assert found(index, "penguin") == []


def test_a_file_that_is_not_warm_any_more_is_not_read_again(folder: Path, index: Index) -> None:
    """Same size, same time, same inode: nothing tells the change, which proves that nothing was read."""
    path = folder / "code" / "tax.py"
    found(index, "RATE")
    index._known["code/tax.py"] = _Known(Root(folder).stat("code/tax.py").stamp, b"other")
    index._walked = 0.0  # look at everything again
    found(index, "RATE")
    assert index._known["code/tax.py"].digest == b"other"
    path.write_text("RATE = 0.07\n")
    assert found(index, "RATE 0.07") == ["code/tax.py:1: RATE = 0.07"]


def test_only_what_changed_is_looked_at_again(folder: Path, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    found(index, "RATE")
    walked = []
    monkeypatch.setattr(Walk, "sizes", lambda *_: walked.append("all") or iter(()))
    (folder / "code/tax.py").write_text("RATE = 0.07\n")
    (folder / "zoo.md").unlink()
    (folder / "museum.md").unlink()
    (folder / "museum.md").symlink_to("/etc/hostname")
    os.link(folder / "code/tax.py", folder / "new.py")
    assert sorted(found(index, "RATE 0.07")) == ["code/tax.py:1: RATE = 0.07", "new.py:1: RATE = 0.07"]
    assert (found(index, "zoo"), found(index, "museum")) == ([], [])
    assert walked == []


def test_folders_that_come_move_and_go_are_followed(folder: Path, index: Index) -> None:
    assert found(index, "walrus") == []
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/w.md").write_text("a walrus")
    assert found(index, "walrus") == ["a/b/w.md:1: a walrus"]
    (folder / "a").rename(folder / "c")
    (folder / "c/b/w.md").write_text("two walruses")
    assert found(index, "walrus") == ["c/b/w.md:1: two walruses"]
    shutil.rmtree(folder / "c")
    assert found(index, "walrus") == []


def test_without_help_from_the_kernel_everything_is_looked_at(
    folder: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watch, "begin", Watch.close)
    assert found(index, "walrus") == []
    (folder / "w.md").write_text("a walrus")
    assert found(index, "walrus") == ["w.md:1: a walrus"]


def test_hidden_binary_large_and_foreign_files_are_passed_over(folder: Path, index: Index) -> None:
    (folder.parent / "secret.md").write_text("a walrus outside")
    (folder / "link.md").symlink_to(folder.parent / "secret.md")
    (folder / "out").symlink_to(folder.parent)
    for path, data in {
        ".env": b"walrus",
        ".git/config": b"walrus",
        "node_modules/x/readme.md": b"walrus",
        ".venv/x.py": b"walrus",
        "image.png": b"\0walrus",
        "half.txt": b"\xff\xfewalru",
        "large.txt": b"walrus " + b"x" * 1_000_000,
        "bad\nname.md": b"walrus",
        "latin.txt": b"a walrus caf\xe9",
        "old.txt": b"one walrus\r\ntwo",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)

    os.mkfifo(folder / "fifo.md")
    assert sorted(found(index, "walrus")) == ["latin.txt:1: a walrus caf\u00e9", "old.txt:1: one walrus"]


def test_a_file_that_vanishes_or_closes_while_it_is_indexed_is_passed_over(folder: Path) -> None:
    checks = iter(["", "", "go"])

    def checkpoint() -> None:
        if next(checks, None):
            (folder / "zoo.md").unlink()

    index = Index(Root(folder), checkpoint=checkpoint)
    assert found(index, "alder") == ["work/projects.md:3: - Alder is owned by the Bridge team."]
    index.close()


OTHERS = "[some files were not looked at: too many, too deep or not readable]"


def test_a_folder_that_is_too_large_is_searched_in_part_and_says_so(
    folder: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert index.search("alder")[1] == ""
    monkeypatch.setattr(walk, "MAX_FILES", 2)
    index.close()
    hits, left_out = index.search("museum")
    assert (len(hits) > 0, left_out) == (True, OTHERS)


def test_a_file_that_is_too_large_is_named_and_a_folder_that_is_too_deep_is_told(folder: Path, index: Index) -> None:
    assert index.search("alder")[1] == ""
    for name in "edcba":
        (folder / f"{name}.txt").write_bytes(b"x" * 1_000_001)

    assert index.search("alder")[1] == "[not looked at, too large: a.txt, b.txt, c.txt and 2 more]"
    for name in "edcba":
        (folder / f"{name}.txt").unlink()

    deep = folder.joinpath(*"d" * walk.MAX_DEPTH)
    deep.mkdir(parents=True)
    (deep / "a.md").write_text("walrus")
    assert (found(index, "walrus"), index.search("alder")[1]) == ([f"{'d/' * walk.MAX_DEPTH}a.md:1: walrus"], "")
    (deep / "d").mkdir()
    assert index.search("alder")[1] == OTHERS


def test_who_waits_for_the_first_search_is_told_how_far_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.mcp_servers.search.index.TOLD", 2)
    told: list[tuple[float, float, str]] = []
    index = Index(Root(folder), progress=lambda *far: told.append(far))
    assert found(index, "tickets")
    assert told == [(2, 5, "read 2 of 5 files"), (4, 5, "read 4 of 5 files")]
    index.close()


def test_what_gitignore_names_is_not_found(folder: Path, index: Index) -> None:
    assert found(index, "alder") == ["work/projects.md:3: - Alder is owned by the Bridge team."]
    (folder / ".gitignore").write_text("work/*\n!teams.md\n")
    assert (found(index, "alder"), found(index, "zebra")) == ([], [])
    (folder / "zebra.md").write_text("zebra")
    (folder / "work/zebra.md").write_text("zebra")
    assert found(index, "zebra") == ["zebra.md:1: zebra"]
    (folder / ".gitignore").unlink()
    assert set(found(index, "zebra")) == {"work/zebra.md:1: zebra", "zebra.md:1: zebra"}


def test_a_cancelled_search_can_be_asked_again(folder: Path) -> None:
    class Cancelled(Exception):
        pass

    checks = iter(["", "stop"])

    def checkpoint() -> None:
        if next(checks, None):
            raise Cancelled

    index = Index(Root(folder), checkpoint=checkpoint)
    with pytest.raises(Cancelled):
        index.search("alder")

    assert found(index, "alder") == ["work/projects.md:3: - Alder is owned by the Bridge team."]
    index.close()


def test_searches_from_several_threads_do_not_disturb_each_other(index: Index) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: tuple(found(index, "bridge team")), range(50)))

    assert len(set(answers)) == 1
    assert threading.active_count() < 20


def test_a_closed_index_opens_again(index: Index) -> None:
    before = found(index, "alder")
    index.close()
    assert found(index, "alder") == before


def test_pieces_carry_the_headings_above_them() -> None:
    text = "# A\n\nfirst\n\n## B\n### C\nsecond\n\n## D\n\nthird\nfourth\n```\n# no heading\n```\n"
    assert [
        (piece.trail, [(line.number, line.text, line.heading) for line in piece.lines])
        for piece in chunks(text.split("\n"), ".md")
    ] == snapshot(
        [
            ((), [(1, "# A", True), (3, "first", False)]),
            (("A",), [(5, "## B", True), (6, "### C", True), (7, "second", False)]),
            (
                ("A",),
                [
                    (9, "## D", True),
                    (11, "third", False),
                    (12, "fourth", False),
                    (13, "```", False),
                    (14, "# no heading", False),
                    (15, "```", False),
                ],
            ),
        ]
    )


def test_a_line_that_almost_rules_a_table_takes_no_time() -> None:
    started = time.process_time()
    assert len(list(chunks(["a | b", "-|" * 20_000 + "x"], ".md"))) == 1
    assert time.process_time() - started < 5


def test_in_code_every_line_stays_alone() -> None:
    lines = ["# comment that is rather long and does not end in a mark of punctuation", "x = 1"]
    (piece,) = chunks(lines, ".py")
    assert [(line.number, line.text, line.heading) for line in piece.lines] == [
        (1, lines[0], False),
        (2, "x = 1", False),
    ]


@given(st.lists(st.sampled_from(["", "# H", "text", "| a | b |", "|---|", "```", "- item", "x" * 60]), max_size=60))
def test_no_line_of_text_is_lost_or_found_twice(lines: list[str]) -> None:
    for suffix in (".md", ".py"):
        numbers = [line.number for piece in chunks(lines, suffix) for line in piece.lines]
        assert numbers == sorted(set(numbers))
        text = " ".join(line.text for piece in chunks(lines, suffix) for line in piece.lines)
        assert text.split() == [word for line in lines for word in line.split() if suffix == ".py" or word != "|---|"]


def test_a_long_line_is_shown_around_its_match() -> None:
    marked = "a " * 300 + f"{OPEN}here{CLOSE}" + " b" * 300
    shown = hit("f", "3", marked)
    assert (shown.path, shown.line, len(shown.text)) == ("f", 3, 246)
    assert "here" in shown.text
    assert hit("f", "1h", f"# {OPEN}x{CLOSE}") == Hit("f", 1, "# x")
