from dataclasses import replace

import pytest

from journeyman import ScriptedModel
from journeyman.agent.models.spec import make_model
from journeyman.agent.strategies.spec import strategies
from journeyman.cli.compare import table
from journeyman.cli.plot import drawn, svg
from journeyman.errors import ModelNotFound, UsageError
from journeyman.traces.listed import REWARD
from journeyman.traces.store import Store
from journeyman.training.compare import Arm, Plan, arm, compare
from journeyman.training.interval import mcnemar
from journeyman.training.tally import Tried
from journeyman.training.tasks import Task

TASKS = [
    Task(kind=kind, prompt=f"What is {n} + {n}?", answer=str(2 * n), match="numeric", tools=(), never=True)
    for kind, n in (("small", 2), ("small", 3), ("large", 40))
]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path / "home"))
    with Store.open(tmp_path / "runs.db") as opened:
        yield opened


def doubling(asked):
    """Right when it is sure, and mostly right when it is not; never about large numbers."""

    def script(request):
        asked.append(request.run_id)
        number = int(request.messages[0].text.split()[2])
        sure = request.sampling.temperature > 0 and request.sampling.seed != 2
        return str(2 * number if number < 40 and sure else 0)

    return ScriptedModel(script)


async def test_strategies_are_set_against_the_first_on_the_same_tasks(store):
    asked = []
    plan = Plan("test", strategies(["plain", "vote(3)"]), TASKS)
    result = await compare(plan, doubling(asked), store)

    assert [(arm.strategy, arm.right, arm.tasks, arm.better, arm.worse) for arm in result.arms] == [
        ("plain", 0, 3, 0, 0), ("vote(3)", 2, 3, 2, 0)
    ]  # fmt: skip
    assert {kind: [arm.right for arm in arms] for kind, arms in result.kinds.items()} == {
        "small": [0, 2], "large": [0, 0]
    }  # fmt: skip
    assert result.arms[1].tokens > result.arms[0].tokens > 0
    assert result.arms[1].p == mcnemar(2, 0) == 0.5


async def test_what_was_tried_is_not_tried_again_and_told_without_any_model(store, tmp_path):
    first, again = [], []
    plan = Plan("test", strategies(["plain", "vote(3)"]), TASKS)
    gone = {"local:gone.gguf": make_model(f"local:{tmp_path}/gone.gguf")}
    one = await compare(plan, doubling(first), store)
    other = await compare(plan, doubling(again), store, others=gone)

    assert len(first) > len(TASKS)
    assert again == []
    assert one == other


async def test_nothing_is_tried_where_a_model_that_a_strategy_names_cannot_be_had(store, tmp_path):
    asked = []
    plan = Plan("test", strategies(["plain", "on('local:gone.gguf')"]), TASKS)
    with pytest.raises(ModelNotFound, match=r"gone\.gguf"):
        await compare(
            plan, doubling(asked), store, others={"local:gone.gguf": make_model(f"local:{tmp_path}/gone.gguf")}
        )

    assert asked == []


async def test_candidates_of_a_held_out_task_are_held_out_and_no_attempts_of_the_batch(store):
    plan = Plan("test", strategies(["vote(3)"]), TASKS[:1])
    await compare(plan, doubling([]), store)

    runs = [list(store.events(each.run_id)) for each in store.runs(None)]
    samples = [run[0].event.sample for run in runs]
    assert {sample.split for sample in samples} == {"held_out"}
    assert sum(sample.batch == "test/vote(3)" for sample in samples) == 1
    assert sum(any(getattr(each.event, "name", "") == REWARD for each in run) for run in runs) == 1


def test_chance_of_a_split():
    assert (mcnemar(0, 0), mcnemar(5, 5), mcnemar(8, 0)) == (1.0, 1.0, 2 / 2**8)


def test_a_comparison_is_drawn_and_says_who_asked_the_verifier():
    arms = tuple(
        Arm(strategy=name, tasks=4, right=right, low=0.1, high=0.9, tokens=tokens, seconds=1, usd=0)
        for name, right, tokens in (("plain", 2, 10.0), ("best(by=verifier)", 4, 40.0))
    )

    assert "| best(by=verifier)* | 4/4 |" in table(arms)
    assert drawn(arms).splitlines()[0].endswith("B")
    assert svg(arms).count("<circle") == 2


def test_what_could_not_be_judged_is_neither_right_nor_wrong():
    right, wrong, unknown = (
        Tried(task="a", reward=reward, tokens=tokens) for reward, tokens in ((1, 9), (0, 9), (None, 70))
    )
    first = {"a": right, "b": right, "c": unknown, "d": wrong}
    one = arm("plain", {"a": right, "b": unknown, "c": right, "d": unknown}, first)

    assert (one.right, one.tasks, one.unjudged, one.better, one.worse, one.tokens) == (2, 2, 2, 0, 0, 9.0)
    assert "| 2/2 (2 unjudged) |" in table([one])


async def test_a_strategy_that_the_model_cannot_do_is_told_before_anything_is_tried(store):
    plan = Plan("test", strategies(["plain", "budget"]), TASKS)
    with pytest.raises(UsageError, match="no place of its own for thoughts"):
        await compare(plan, doubling([]), store)

    assert store.runs() == []


async def test_a_comparison_is_gone_on_with_by_the_model_that_it_was_begun_with(store):
    plan = Plan("test", strategies(["plain"]), TASKS)
    await compare(replace(plan, tasks=TASKS[:1]), doubling([]), store)
    other = doubling([])
    other.spec = "scripted:other"

    with pytest.raises(UsageError, match="was begun with scripted, not scripted:other"):
        await compare(plan, other, store)
