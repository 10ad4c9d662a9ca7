"""A whole course with a tiny model, as a user starts it: practice, training, tests, verdict. With the `train` extra."""

import json

import pytest

from journeyman.agent.models.kept import find_kept, in_use
from journeyman.cli.improve import improve
from journeyman.cli.models import models
from journeyman.cli.train import train
from journeyman.errors import UsageError
from journeyman.training.tasks import Task
from tests.need import need

pytestmark = [
    pytest.mark.timeout(300),  # PyTorch and its kin take their time to be imported
    pytest.mark.filterwarnings("ignore"),  # theirs
]
TASK = """
[[task]]
prompt = "Say yes, number {n}."
answer = "yes"
tools = []
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    need("trl")
    need("xllamacpp")
    from tests.training.tiny import tiny_model

    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path / "home"))
    tiny_model(tmp_path / "tiny.gguf")
    numbers = [n for n in range(64) if n < 28 or Task(prompt=f"Say yes, number {n}.").split == "held_out"]
    (tmp_path / "tasks.toml").write_text("".join(TASK.format(n=n) for n in numbers), encoding="utf-8")
    return tmp_path


def started(folder, *more: str) -> None:
    words = ["--tasks", str(folder / "tasks.toml"), "-m", f"local:{folder / 'tiny.gguf'}", "--name", "mine", *more]
    improve.main(words, standalone_mode=False)


def test_what_is_surely_better_is_promoted_and_can_be_taken_back(folder, capsys):
    started(
        folder, "--recipe", "cold,sft", "-n", "2", "--limit", "4", "--rate", "3e-2", "--epochs", "8", "--passes", "2"
    )

    told = capsys.readouterr()
    assert told.out == "local:mine\n"
    assert in_use() == "local:mine"
    files = find_kept("mine")
    assert files is not None
    assert files.model == folder / "tiny.gguf"

    found = json.loads((folder / "home/data/training/mine/course.json").read_text("utf-8"))
    assert [stage["name"] for stage in found["stages"]] == ["cold", "sft"]
    assert found["stages"][0]["kept"], "the second is kept only where chance has not made it worse"
    assert found["held_out"]["before"] == 0.0
    assert found["held_out"]["after"] == 1.0
    assert found["verdict"]["promote"]
    assert set(found["controls"]) == {"random", "format"}
    chose, proved = ({*test["right"]} for test in (found["stages"][0]["test"], found["proofs"]["0"]))
    assert chose == {*found["before"]["right"]}
    assert proved == {*found["controls"]["random"]["right"]} == {*found["held_out"]["gained"]}
    assert not chose & proved, "what chose the stage proves nothing"
    assert all(stage["trained"]["agreement"]["kl"] < 0.05 for stage in found["stages"])
    assert list(found["gains"]["after"]) == ["greedy", "vote of 2", "greedy, no tools", "vote of 2, no tools"]

    report = (folder / "home/data/training/mine/report.md").read_text("utf-8")
    assert report.startswith("# mine: tiny.gguf on ")
    assert "**Promoted.** held-out better: 0% -> 100%" in report
    assert "- Gained: Say yes, number" in report
    assert (folder / "home/data/training/mine/report.png").read_bytes().startswith(b"\x89PNG")

    models.main(["rollback"], standalone_mode=False)
    assert in_use() is None


def test_recorded_practice_is_trained_on_by_hand(folder, capsys):
    base = ["-m", f"local:{folder / 'tiny.gguf'}"]
    started(
        folder,
        "--recipe",
        "cold,sft",
        "-n",
        "4",
        "--limit",
        "4",
        "--rate",
        "3e-2",
        "--epochs",
        "8",
        "--no-controls",
        "--no-keep",
    )
    capsys.readouterr()

    train.main(["sft", *base, "--dry-run", "--json"], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    assert found["taken"] == {"as drawn": found["taken"]["as drawn"]}
    assert 0 < found["rows"] <= found["taken"]["as drawn"] <= 4 * 4, "chance decides how many of them came out right"
    assert found["left_out"]["its task is held out"] > 0

    train.main(["sft", *base, "--steps", "1", "--out", str(folder / "out")], standalone_mode=False)
    told = capsys.readouterr()
    assert told.out == f"local:{folder / 'tiny.gguf'}+{folder / 'out' / 'adapter.gguf'}\n"
    assert "engine and trainer differ by" in told.err


def test_a_model_that_gets_nothing_right_has_nothing_to_learn_from(folder, capsys):
    started(folder, "-n", "2", "--limit", "1", "--no-controls")

    told = capsys.readouterr()
    assert "There is nothing to learn from: no run fits that came out right." in told.err
    assert "not promoted; nothing changed" in told.err
    assert told.out == "\n"
    assert in_use() is None

    # Half a character has no log-probability: whether an attempt has one is left to chance.
    with pytest.raises(UsageError, match=r"None of 1 groups has|There are no groups"):
        train.main(["grpo", "-m", f"local:{folder / 'tiny.gguf'}"], standalone_mode=False)
