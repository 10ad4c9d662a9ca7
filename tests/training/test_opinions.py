import json

from journeyman.agent.models.scripted import ScriptedModel
from journeyman.traces.export import export
from journeyman.traces.find import find
from journeyman.traces.store import Store
from journeyman.training.opinions import break_ties
from journeyman.training.rollout import Batch, rollout
from journeyman.training.scoring import Again
from journeyman.training.tasks import Task

ADD = Task(prompt="2+3?", answer="5", match="numeric")
ONCE = Task(prompt="2+4?", answer="6", match="numeric")
SAYS = iter(["5", "It is 5.", "7", "6", "8", "9"])


def opinion(request) -> str:
    """Likes whole sentences."""
    return '{"mark": 9}' if "It is 5." in request.messages[0].text else '{"mark": 3}'


async def test_an_opinion_breaks_ties_among_right_attempts_and_changes_no_reward(tmp_path):
    store = Store.open(tmp_path / "runs.db")
    await rollout(Batch("b", [ADD, ONCE], n=3), ScriptedModel(lambda _: next(SAYS)), store)
    before = {run.run_id: run.reward for run in find(store, "batch:b")}

    done = await break_ties(store, before, ScriptedModel(opinion), samples=2)

    assert (done.runs, done.unjudged, len(done.skipped)) == (2, 0, 4)
    assert {run.run_id: run.reward for run in find(store, "batch:b")} == before
    assert [run.answer for run in find(store, "reward.judge>0.5")] == ["It is 5."]

    export(store, list(before), tmp_path / "dpo.jsonl", "dpo")
    chosen = [json.loads(line)["chosen"] for line in (tmp_path / "dpo.jsonl").read_text().splitlines()]
    assert {"role": "assistant", "content": "It is 5."} in [each[0] for each in chosen]

    calls = [run.run_id for run in find(store, "batch:judge")]
    assert len(calls) == 4
    skipped = export(store, calls, tmp_path / "tokens.jsonl", "tokens").skipped
    assert set(skipped.values()) == {"its task is held out"}


async def test_everything_is_judged_where_that_is_asked_for(tmp_path):
    store = Store.open(tmp_path / "runs.db")
    await rollout(Batch("b", [ADD], n=1), ScriptedModel("5"), store)
    (run,) = find(store)
    assert (await break_ties(store, [run.run_id], ScriptedModel(opinion))).runs == 0
    assert await break_ties(store, [run.run_id], ScriptedModel("?"), everything=True) == Again(runs=1, unjudged=1)
