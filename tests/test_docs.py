import os
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

from docs.cli import PAGE, page
from journeyman.policies.policy import Policy
from tests.need import need

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
NOTES = "Shopping\n- flour\n- eggs\n- milk\n\nCall Anna about the boat.\nThe boat is in Hall 7.\n"
NETWORK = "# Network\n\nThe wiki listens on port 8443.\nThe printer is at 10.0.0.17.\n"
OFFICE = "# Office\n\nThe desk opens at 9:30.\nKeys are kept by Anna.\n"


class Example(NamedTuple):
    program: str
    """A shell command, or a whole Python program."""
    shows: str
    """What it prints; `...` stands for anything."""


def consoles() -> Iterator[Example]:
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for command, shows in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            yield Example(command.removeprefix("uv run "), shows)


def programs() -> Iterator[Example]:
    for program, shows in re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL):
        yield Example(program, shows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the examples are typed."""
    path = tmp_path_factory.mktemp("examples")
    (path / "notes.txt").write_text(NOTES, "utf-8")
    (path / "handbook").mkdir()
    (path / "handbook/network.md").write_text(NETWORK, "utf-8")
    (path / "handbook/office.md").write_text(OFFICE, "utf-8")
    return path


def prints(command: str | list[str], folder: Path, home: Path) -> str:
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=folder,
        env={**os.environ, "JOURNEYMAN_HOME": str(home), "PATH": scripts},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_shown(printed: str, shown: str) -> None:
    pattern = shown.replace("[", "[[]").replace("...", "*")
    assert fnmatchcase(printed, pattern), f"{printed}\nis not\n{shown}"


@pytest.mark.timeout(600)
def test_the_commands_of_the_readme_print_what_the_readme_shows(folder):
    """In their order: one looks at what another has left."""
    need("local")
    for example in consoles():
        assert_shown(prints(example.program, folder, folder / "home"), example.shows)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("example", list(programs()), ids=lambda example: example.program.splitlines()[0])
def test_a_program_of_the_readme_prints_what_the_readme_shows(example, folder):
    need("local")
    assert_shown(prints([sys.executable, "-c", example.program], folder, folder / "other home"), example.shows)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("name", "shows"), [("inventory.py", "12\n"), ("without_a_model.py", "5\nIt is 5.\n")])
def test_an_example_runs(name, shows, folder):
    if name == "inventory.py":
        need("local")

    assert prints([sys.executable, str(ROOT / "examples" / name)], folder, folder / "other home") == shows


def test_the_example_policy_loads_and_its_own_examples_hold():
    assert Policy.load(ROOT / "examples/house.toml").name == "ask + file"


def test_the_readme_is_short_and_says_the_two_commands():
    assert len(README.splitlines()) < 120
    assert 'uv run journeyman run "What is 37 * 43 - 12?"\nuv run pytest\n' in README
    assert len(list(consoles())) + len(list(programs())) == 6


def test_the_tree_of_the_readme_names_what_is_there():
    tree = README.split("```text\njourneyman/\n")[1].split("```")[0]
    rooms = re.findall(r"^  ([\w.]+?)/? ", tree, re.MULTILINE)
    there = {path.name for path in (ROOT / "journeyman").iterdir() if not path.name.startswith(("_", "."))}
    assert {name for name in there if "." not in name} | {"sdk.py"} == set(rooms)


@pytest.mark.parametrize(
    "page",
    [path.name for path in ROOT.glob("*.md")]
    + ["docs/design/" + path.name for path in (ROOT / "docs/design").glob("*.md")],
)
def test_every_file_that_a_document_names_is_there(page):
    text = (ROOT / page).read_text("utf-8")
    for name in re.findall(r"(?<![\w/])((?:docs|tests|examples|benchmarks|journeyman)/[\w./-]*\w\.\w+)", text):
        assert (ROOT / name).exists(), name


def test_the_page_of_commands_is_what_the_commands_say():
    assert PAGE.read_text("utf-8") == page(), "write it anew: uv run just docs"


def test_the_constraints_name_versions_and_nothing_else():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.!+-]+", line)] == []
