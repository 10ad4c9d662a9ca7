import json
import subprocess
from pathlib import Path

import anyio
import pytest

from journeyman.errors import ConfigError
from journeyman.training.patch import apply
from journeyman.training.prove import prove
from journeyman.training.taskfile import load_tasks
from journeyman.training.tasks import Cheat
from journeyman.verifiers.case import Case
from journeyman.verifiers.check import Check, verify_here
from journeyman.verifiers.desk import Desk
from tests.need import need

TESTS = """
from pathlib import Path
import subprocess, sys

def test_the_report_has_the_total():
    assert Path("/app/report.txt").read_text().strip() == "12"

def test_the_numbers_are_as_they_were():
    assert Path("/app/data/numbers.txt").read_text().split() == ["3", "4", "5"]
"""
SOLUTION = "#!/bin/bash\ncd /app && python3 -c \"print(sum(map(int, open('data/numbers.txt'))))\" > /app/report.txt\n"
INSTRUCTION = "Write the sum of the numbers in /app/data/numbers.txt to /app/report.txt."
DOCKERFILE = "FROM python:3.13-slim\nWORKDIR /app\nCOPY --chown=me data /app/data/\nRUN pip list\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

    return root


def before_harbor(root: Path) -> Path:
    about = f"instruction: |-\n  {INSTRUCTION}\ndifficulty: easy\nmax_test_timeout_sec: 30.0\n"
    files = {"task.yaml": about, "solution.sh": SOLUTION, "Dockerfile": DOCKERFILE, "data/numbers.txt": "3\n4\n5\n"}
    return write(root / "sum-of-numbers", files | {"tests/test_outputs.py": TESTS})


def harbor(root: Path) -> Path:
    files = {
        "task.toml": "version = '1.0'\n# a-bench-canary 7f3\n[verifier]\ntimeout_sec = 30.0\n",
        "instruction.md": INSTRUCTION,
        "environment/Dockerfile": DOCKERFILE,
        "environment/data/numbers.txt": "3\n4\n5\n",
        "solution/solve.sh": SOLUTION,
        "tests/test_outputs.py": TESTS,
    }
    return write(root / "sum-of-numbers", files)


def faults(task) -> list[str]:
    async def proved() -> list[str]:
        async with Desk(1) as desk:
            return [f"{fault.what}: {fault.score.evidence}" for fault in await prove(task, desk)]

    return anyio.run(proved)


def test_a_folder_of_terminal_bench_is_a_task_that_proves_itself(tmp_path):
    need("native")
    (task,) = load_tasks(str(before_harbor(tmp_path / "old").parent))
    assert load_tasks(str(tmp_path / "old" / task.name)) == [task]
    assert (task.name, task.kind, task.never) == ("sum-of-numbers", "terminal_bench", False)
    assert task.prompt == "Write the sum of the numbers in data/numbers.txt to report.txt."
    assert task.files == {"data/numbers.txt": "3\n4\n5\n"}
    cheat = Cheat(files={"report.txt": "12", "data/numbers.txt": "12"})
    assert faults(task.model_copy(update={"cheats": (cheat,)})) == []

    (same,) = load_tasks(str(harbor(tmp_path / "new").parent))
    assert same == task.model_copy(update={"never": True, "source": same.source})


def test_settings_of_pytest_that_the_run_left_are_there_and_steer_nothing():
    need("native")
    wanted = "from pathlib import Path\ndef test_it(): assert 'tool' in Path('pyproject.toml').read_text()\n"
    check = Check(verifier="tests", parameters={"files": {"tests/test_it.py": wanted}})
    left = {"pyproject.toml": "[tool.pytest]\naddopts = ['--collect-only']\n"}
    said = [verify_here(check, Case(prompt="?", answer="", files=each)).value for each in (left, {})]
    assert said == [1.0, 0.0]


def test_tests_that_are_a_script_are_believed_by_its_exit_code(tmp_path):
    need("native")
    folder = harbor(tmp_path)
    (folder / "tests/test_outputs.py").unlink()
    (folder / "tests/test.sh").write_text('test "$(cat /app/report.txt)" = 12\n')
    (task,) = load_tasks(str(folder))
    assert faults(task) == []


@pytest.mark.parametrize(
    ("missing", "said"), [("instruction.md", "instruction.md cannot be read"), ("tests/test_outputs.py", "no tests")]
)
def test_a_folder_that_is_no_whole_task_is_refused_by_what_it_lacks(missing, said, tmp_path):
    (harbor(tmp_path) / missing).unlink()
    with pytest.raises(ConfigError, match=said):
        load_tasks(str(tmp_path))


def test_a_task_cannot_write_outside_of_its_folder(tmp_path):
    from journeyman.training.folder import lay_out  # noqa: PLC0415 - the one way in

    for path in ("../x", "/etc/x", "a/../../x", ""):
        with pytest.raises(ConfigError, match="a task has a file"):
            lay_out({path: "x"}, tmp_path / "inside")


def diff(root: Path, before: dict[str, str], after: dict[str, str]) -> str:
    """As git writes it."""
    write(root / "a", before)
    write(root / "b", after)
    command = ["git", "diff", "--no-index", "--no-color", "--no-prefix", "a", "b"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stdout


REPOSITORY = {
    "src/money/__init__.py": "def cents(text):\n    return int(float(text) * 100)\n",
    "tests/test_money.py": "from money import cents\n\ndef test_whole():\n    assert cents('2') == 200\n",
    "setup.cfg": "[metadata]\nname = money\n",
}
FIXED = {"src/money/__init__.py": "def cents(text):\n    return round(float(text) * 100)\n"}
TESTED = {
    "tests/test_money.py": REPOSITORY["tests/test_money.py"] + "\ndef test_cents():\n    assert cents('0.29') == 29\n"
}


def swe_bench(root: Path) -> Path:
    for kind, change in (("patch", FIXED), ("test", TESTED)):
        (root / kind).mkdir(parents=True)
        (root / f"{kind}.diff").write_text(diff(root / kind, {k: REPOSITORY[k] for k in change}, change))

    write(root / "acme__money-1", REPOSITORY)
    row = {
        "instance_id": "acme__money-1",
        "repo": "acme/money",
        "base_commit": "0123abc",
        "problem_statement": "cents('0.29') is 28.",
        "patch": (root / "patch.diff").read_text(),
        "test_patch": (root / "test.diff").read_text(),
        "FAIL_TO_PASS": json.dumps(["tests/test_money.py::test_cents"]),
        "PASS_TO_PASS": ["tests/test_money.py::test_whole"],
    }
    (root / "rows.jsonl").write_text(json.dumps(row))
    return root / "rows.jsonl"


MONEY = "src/money/__init__.py"
REPORT = r"PASSED tests/test_money.py::test_cents\nPASSED tests/test_money.py::test_whole\n2 passed"
NOT_COVERED = "a value that equals everything"
FORGERIES = {
    "the tests are over": {MONEY: "import os\nos._exit(0)\n"},
    "a report of its own": {MONEY: f"import os\nprint('{REPORT}', flush=True)\nos._exit(0)\n"},
    "every test passes": {
        MONEY: "import _pytest.python\n_pytest.python.Function.runtest = lambda self: None\ncents = round\n"
    },
    NOT_COVERED: {
        MONEY: "import sys\nsys.excepthook = print\nclass cents:\n"
        "    def __new__(cls, text): return object.__new__(cls)\n    __eq__ = lambda a, b: True\n"
        "import builtins\nbuiltins.AssertionError = type('E', (Exception,), {})\n"
    },
    "a conftest": {
        "tests/conftest.py": "import pytest\n@pytest.hookimpl(hookwrapper=True)\n"
        "def pytest_runtest_makereport(item, call):\n    (yield).get_result().outcome = 'passed'\n"
    },
    "tests of its own": {"tests/test_money.py": "def test_cents(): pass\ndef test_whole(): pass\n"},
    "a pytest of its own": {"pytest.py": f"print('{REPORT}')\n", "src/pytest.py": f"print('{REPORT}')\n"},
}


def judged(task, files: dict[str, str]) -> float | None:
    return verify_here(task.checks[0], Case(prompt="?", answer="Done.", files={**task.files, **files})).value


def test_a_row_of_swe_bench_is_a_task_whose_tests_withstand_what_they_say(tmp_path):
    need("native")
    (task,) = load_tasks(str(swe_bench(tmp_path)))
    assert (task.kind, task.split, task.files, task.leaves) == ("repository", "held_out", REPOSITORY, FIXED)
    found = {name: judged(task, files) for name, files in {"honest": FIXED, "nothing": {}, **FORGERIES}.items()}
    assert found == dict.fromkeys(found, 0.0) | {"honest": 1.0, NOT_COVERED: 1.0}


def test_a_repository_that_is_not_here_is_asked_for(tmp_path):
    rows = swe_bench(tmp_path)
    (tmp_path / "acme__money-1").rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="there is no repository") as caught:
        load_tasks(str(rows))

    assert "git checkout 0123abc" in caught.value.fix


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a.txt": "1\n2\n3\n"}, {"a.txt": "1\n3\n4\n"}),
        ({"a.txt": "x"}, {"a.txt": "x\ny"}),
        ({"a.txt": "x\n\n\ny\n" + "z\n" * 30}, {"a.txt": "0\nx\n\n\n" + "z\n" * 29 + "last"}),
        ({"a.txt": "x\n"}, {"a.txt": "x\n", "new/b.txt": "here\n"}),
        ({"a.txt": "x\n", "b.txt": "gone\n"}, {"a.txt": "x\n"}),
        ({"a.txt": "-- x\n++ y\n"}, {"a.txt": "++ y\n-- x\n"}),
    ],
)
def test_a_diff_as_git_writes_it_is_applied(before, after, tmp_path):
    changed = apply(before, diff(tmp_path, before, after))
    whole = {path: text for path, text in {**before, **changed}.items() if text is not None}
    assert whole == after


def test_a_diff_that_does_not_fit_is_refused(tmp_path):
    made = diff(tmp_path, {"a.txt": "1\n2\n"}, {"a.txt": "1\n3\n"})
    for files in ({"a.txt": "1\n4\n"}, {"b.txt": ""}, {"a.txt": ""}):
        with pytest.raises(ConfigError, match="patch"):
            apply(files, made)
