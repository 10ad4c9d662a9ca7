"""What `.gitignore` files leave out, beside what git itself leaves out."""

import random
import subprocess
from pathlib import Path

from journeyman.mcp_servers.search.ignored import Ignored
from journeyman.mcp_servers.search.walk import Walk
from journeyman.sandbox.paths import Root

WORDS = ("a", "b", "ab", "b.o", "a.c", "x y", "#h", "!n", "[q]", "n")
PIECES = (*WORDS, "*", "**", "*.o", "a*", "?", "[ab]", "[!a]", "[^a]*", "\\#h", "\\!n", "\\[q]", "x\\ y", "*b*")
PATHS = sorted({"/".join(path) for one in WORDS for two in WORDS[:5] for path in ((one,), (one, two), ("a", one, two))})

FOLDERS = {path.rpartition("/")[0] for path in PATHS} - {""}


def rules(chance: random.Random) -> str:
    lines = []
    for _ in range(chance.randint(1, 4)):
        line = "/".join(chance.choice(PIECES) for _ in range(chance.choice((1, 1, 1, 2, 2, 3))))
        before, behind = chance.choice(("", "", "", "/", "!")), chance.choice(("", "", "", "/", "/**", " ", "\r"))
        lines.append(f"{before}{line}{behind}")

    return "\n".join([*lines, chance.choice(("", "# no rule", "/", "!"))])


def test_what_git_ignores_is_ignored(tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 - the same every time
    cases = {f"case{number}": {"": rules(chance), "a": rules(chance)} for number in range(25)}
    for case, texts in cases.items():
        for path in FOLDERS:
            (tmp_path / case / path).mkdir(parents=True, exist_ok=True)

        for folder, text in texts.items():
            (tmp_path / case / folder / ".gitignore").write_bytes(text.encode())

    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    asked = [f"{case}/{path}" for case in cases for path in PATHS]
    told = subprocess.run(
        [*git, "check-ignore", "--no-index", "-z", "--stdin"],
        input="\0".join(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    theirs = set(told.stdout.split("\0")) - {""}
    ours = {path for path in asked if is_ignored(path, cases)}
    assert len(theirs) > 300
    assert {path: cases[path.partition("/")[0]] for path in ours ^ theirs} == {}


def is_ignored(path: str, cases: dict[str, dict[str, str]]) -> bool:
    case, _, inner = path.partition("/")
    ignored = Ignored()
    for folder, text in cases[case].items():
        ignored.add(folder, text)

    parts = inner.split("/")
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    return any(ignored(each, folder=each in FOLDERS) for each in above)


def test_no_rule_takes_for_ever() -> None:
    ignored = Ignored()
    ignored.add("", "\n".join(["*a" * 60 + "*b", "/" + "**/a/" * 3 + "b", "**/" * 40 + "b", "[" * 5_000, "a/" * 5_000]))
    assert not ignored("/".join(["a"] * 40), folder=False)
    assert not ignored("a" * 250, folder=False)


def walked(root: Path, below: str = "", *, everything: bool = False) -> list[str]:
    return [path for path, _ in Walk(Root(root), lambda: None, everything=everything).files(below)]


def test_a_walk_leaves_out_what_is_ignored_unless_it_is_asked_for(tmp_path: Path) -> None:
    for path in ("a.py", "a.log", "build/out.py", "src/b.py", "src/b.log", "src/keep.log"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()

    (tmp_path / ".gitignore").write_text("*.log\nbuild/\n")
    (tmp_path / "src/.gitignore").write_bytes(b"\xef\xbb\xbf!keep.log\r\n\xff\n")
    everything = ["a.log", "a.py", "build/out.py", "src/b.log", "src/b.py", "src/keep.log"]
    assert walked(tmp_path) == ["a.py", "src/b.py", "src/keep.log"]
    assert walked(tmp_path, "src") == ["src/b.py", "src/keep.log"]
    assert walked(tmp_path, "build") == ["build/out.py"]
    assert walked(tmp_path, everything=True) == everything
    (tmp_path / ".gitignore").unlink()
    (tmp_path / ".gitignore").symlink_to("/etc/passwd")
    assert walked(tmp_path) == everything
