from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

import pytest

from benchmarks.evaluate import Rate, Trial, evaluate, outcomes, rates
from journeyman.agent.models.scripted import ScriptedModel
from journeyman.errors import ModelError
from journeyman.traces.messages import Message
from journeyman.traces.store import Store
from journeyman.training.folder import lay_out
from journeyman.training.generate import generate
from journeyman.training.interval import wilson
from journeyman.training.play import play
from journeyman.training.tasks import Task
from journeyman.training.workshop import Workshop

KINDS = ("arithmetic", "file_fact", "file_change", "file_trouble", "search", "code", "plan", "own_tool", "chat")


async def perfect(tasks: Sequence[Task], folder: Path) -> ScriptedModel:
    """A model that says what the oracle would."""
    scripts: dict[str, list[Message]] = {}
    for task in tasks:
        root = Path(mkdtemp(dir=folder))
        lay_out(task.files, root)
        async with Workshop(root) as workshop:
            messages = await play(task, workshop.call, offered={"update_plan"})

        scripts[task.prompt] = [message for message in messages if message.type == "assistant"]

    return ScriptedModel(lambda request: scripts[request.messages[0].text][request.step - 1])


def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "runs.db")


@pytest.mark.parametrize("kind", KINDS)
async def test_the_oracle_is_right_through_the_real_agent(kind, tmp_path):
    tasks = generate(kind, 3, seed=4, split="held_out")
    trials = await evaluate(await perfect(tasks, tmp_path), tasks, store(tmp_path))
    assert [(trial.score.value, trial.calls) for trial in trials] == [
        (1.0, tuple(step.tool for step in task.oracle)) for task in tasks
    ]


async def test_a_wrong_answer_and_no_answer_both_fail(tmp_path):
    tasks = generate("arithmetic", 2, seed=4, split="held_out")
    answers = {tasks[0].prompt: "-0.123"}
    model = ScriptedModel(lambda request: answers.get(request.messages[0].text, ModelError("gone")))
    trials = await evaluate(model, tasks, store(tmp_path))
    assert [trial.score.value for trial in trials] == [0.0, None]
    assert rates(trials)["arithmetic"]["all"] == Rate(right=0, trials=2, low=0.0, high=0.6576)
    assert outcomes(trials) == {"no call": 1, "no answer": 1}


async def test_every_trial_is_in_the_store_and_was_reported(tmp_path):
    tasks = generate("chat", 2, seed=4, split="held_out")
    reported: list[Trial] = []
    kept = store(tmp_path)
    trials = await evaluate(ScriptedModel(["Hello!"]), tasks, kept, reported.append)
    assert trials == reported
    assert {run.run_id for run in kept.runs(limit=9)} == {trial.run_id for trial in trials}


def test_the_interval_is_the_score_interval():
    assert [tuple(round(end, 3) for end in wilson(*of)) for of in ((0, 0), (0, 10), (5, 10), (40, 40))] == [
        (0.0, 1.0),
        (0.0, 0.278),
        (0.237, 0.763),
        (0.912, 1.0),
    ]
