import json
from pathlib import Path
from typing import Any

import pytest

from journeyman import Agent, Result, ScriptedModel, tool
from journeyman.errors import UsageError
from journeyman.traces.events import RunStarted
from journeyman.traces.store import Store
from journeyman.verifiers.score import Score

CALL = {"tool": "add", "arguments": {"a": 2, "b": 3}}


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path / "home"))
    return tmp_path / "traces.db"


def right(run: Result) -> bool:
    return run.answer == "5"


def test_a_prompt_is_tried_several_times_judged_and_written_for_a_trainer(store: Path, tmp_path: Path) -> None:
    agent = Agent(ScriptedModel([CALL, "5"]), tools=[add], store=store)
    judged = iter([True, False, None, 0.5])

    group = agent.rollouts("2+3?", n=4, verify=lambda _: next(judged))
    agent.close()

    assert sorted(map(str, group.rewards)) == ["0.0", "0.5", "1.0", "None"]
    assert group.answers == ["5"] * 4
    wrote = group.export(tmp_path / "sft.jsonl", where="reward == 1")
    assert (wrote.rows, wrote.skipped) == (1, {})
    row = json.loads((tmp_path / "sft.jsonl").read_text())
    assert [message["role"] for message in row["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    with Store.open(store) as reading:
        started = [next(reading.events(each.run.run_id)).event for each in group]

    samples = [event.sample for event in started if isinstance(event, RunStarted) and event.sample]
    assert [sample.index for sample in samples] == [0, 1, 2, 3]
    assert {sample.batch for sample in samples} == {group.name}


async def test_the_same_is_async_and_so_may_the_judge_be(store: Path) -> None:
    async def judge(run: Result) -> Score:
        return Score.of(0.25, f"it said {run.answer}")

    group = await Agent(ScriptedModel(["5"]), tools=[], store=store).practise("2+3?", n=2, verify=judge)

    assert group.rewards == [0.25, 0.25]


@pytest.mark.parametrize("said", ["yes", 2, -0.1])
def test_a_judgement_that_is_none_is_refused(said: Any, store: Path) -> None:
    with pytest.raises(UsageError, match="verify said"):
        Agent(ScriptedModel(["5"]), tools=[], store=store).rollouts("2+3?", n=2, verify=lambda _: said)


def test_what_the_judge_raises_is_raised_and_the_runs_are_kept(store: Path) -> None:
    def judge(_: Result) -> bool:
        raise ZeroDivisionError

    agent = Agent(ScriptedModel(["5"]), tools=[], store=store)
    with pytest.raises(ZeroDivisionError):
        agent.rollouts("2+3?", n=1, verify=judge)

    agent.close()
    with Store.open(store) as reading:
        assert [run.answer for run in reading.runs()] == ["5"]


def test_nothing_to_do_or_to_write_is_said(store: Path, tmp_path: Path) -> None:
    agent = Agent(ScriptedModel(["5"]), tools=[], store=store)
    with pytest.raises(UsageError, match="n=0"):
        agent.rollouts("2+3?", n=0, verify=right)

    group = agent.rollouts("2+3?", n=1, verify=right)
    agent.close()
    with pytest.raises(UsageError, match=r"No run of the group fits 'reward<1'"):
        group.export(tmp_path / "none.jsonl", where="reward<1")
