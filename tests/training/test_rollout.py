from pathlib import Path

import anyio
import pytest

from journeyman.agent.models.scripted import ScriptedModel
from journeyman.errors import ModelError, UsageError
from journeyman.traces.events import FilesKept, SampleScored
from journeyman.traces.export import export
from journeyman.traces.find import find
from journeyman.traces.store import Store
from journeyman.training.rollout import Batch, Groups, attempts, learnable, rollout, sample_until
from journeyman.training.scoring import Again, rate, score_again, score_run
from journeyman.training.tally import PassAt, Tally, Tried, tally
from journeyman.training.tasks import Task
from journeyman.verifiers.check import Check, verifier
from journeyman.verifiers.desk import Desk
from journeyman.verifiers.score import Score

ADD = Task(name="add", prompt="2+3?", answer="5", match="numeric")
WRITE = Task(
    name="write",
    prompt="Write yes to out.txt and remove nothing.",
    checks=(Check(verifier="files", parameters={"equal": {"out.txt": "yes"}}),),
    files={"notes.txt": "keep me"},
    allow=("files.write",),
)


class Counted:
    """A model that is right in every second attempt at a task, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, request):
        prompt = request.messages[0].text
        if request.step == 1:
            self.asked.append(prompt)

        right = self.asked.count(prompt) % 2
        if prompt == ADD.prompt:
            return "5" if right else "6"

        if request.step == 1 and right:
            return {"tool": "files__write", "arguments": {"path": "out.txt", "content": "yes"}}

        return "Done."


async def practise(batch: Batch, model: Counted, store: Store) -> list[tuple[str, int, float | None]]:
    trials = await rollout(batch, ScriptedModel(model), store)
    return sorted((trial.task.name, trial.index, trial.score.value) for trial in trials)


async def test_every_attempt_is_judged_in_a_folder_of_its_own_and_kept_with_its_run(tmp_path):
    store = Store.open(tmp_path / "runs.db")
    found = await practise(Batch("b", [ADD, WRITE], n=2), Counted(), store)
    assert found == [("add", 0, 1.0), ("add", 1, 0.0), ("write", 0, 1.0), ("write", 1, 0.0)]

    (run,) = find(store, f"batch:b task:{WRITE.key} reward:1")
    last = [each.event for each in store.events(run.run_id)][-3:]
    assert [type(event) for event in last] == [FilesKept, SampleScored, SampleScored]
    assert last[0] == FilesKept(files={"out.txt": "yes"})
    assert [(each.name, each.score) for each in last if isinstance(each, SampleScored)] == [("files", 1), ("reward", 1)]
    assert len(find(store, "batch:b is:mixed")) == 4


async def test_what_a_batch_has_is_not_done_again(tmp_path):
    store, model = Store.open(tmp_path / "runs.db"), Counted()
    assert len(await practise(Batch("b", [ADD], n=3), model, store)) == 3
    assert await practise(Batch("b", [ADD, WRITE], n=4), model, store) == [
        ("add", 3, 0.0),
        *(("write", n, float(n % 2 == 0)) for n in range(4)),
    ]
    assert len(attempts(store, "b")) == 8


@verifier("there/1")
def there(case, path):
    """Fails until there is a file."""
    return Score.of(case.answer == Path(path).read_text("utf-8"))


async def test_what_could_not_be_judged_is_neither_right_nor_wrong_and_tried_again(tmp_path):
    store, place = Store.open(tmp_path / "runs.db"), tmp_path / "answer"
    check = Check(verifier=f"{__name__}:there", parameters={"path": str(place)})
    task = Task(prompt="2+3?", checks=(check,))
    replies = iter("56" * 3)
    batch, model = Batch("b", [task], n=2), ScriptedModel(lambda _: next(replies))
    assert [trial.score.status for trial in await rollout(batch, model, store)] == ["error", "error"]

    place.write_text("5", encoding="utf-8")
    assert [trial.score.value for trial in await rollout(batch, model, store)] == [1.0, 0.0]
    assert [each.reward for each in attempts(store, "b").values()] == [1.0, 0.0]
    assert await rollout(batch, model, store) == []


async def test_what_waits_for_a_person_is_not_tried_again(tmp_path):
    store, model = Store.open(tmp_path / "runs.db"), ScriptedModel(lambda _: "5")
    batch = Batch("b", [Task(prompt="2+3?", checks=(Check(verifier="human"),))], n=2)
    assert [trial.score.value for trial in await rollout(batch, model, store)] == [None, None]
    assert await rollout(batch, model, store) == []


def test_an_attempt_that_could_not_be_judged_makes_no_group_differ():
    groups = Groups(n=2)
    for value in (1.0, None, 1.0):
        groups.add("a", value)

    assert groups.mixed == 0


async def test_a_model_that_is_gone_ends_practice_and_loses_nothing(tmp_path):
    store = Store.open(tmp_path / "runs.db")

    class Gone(ScriptedModel):
        async def open(self):
            if len(attempts(store, "b")) == 2:
                raise ModelError("gone")

            return await super().open()

    with pytest.raises(ModelError, match="gone"):
        await rollout(Batch("b", [ADD], n=4), Gone(["5"]), store)

    assert len(attempts(store, "b")) == 2


async def test_practice_ends_with_enough_groups_that_teach_something(tmp_path):
    store = Store.open(tmp_path / "runs.db")
    tasks = [ADD.model_copy(update={"prompt": f"2+3? ({n})"}) for n in range(20)]
    replies = iter("5655" * 20)
    batch = Batch("b", tasks, n=2, mixed=2)
    assert len(await rollout(batch, ScriptedModel(lambda _: next(replies)), store)) == 6


async def test_tasks_are_drawn_until_enough_groups_teach_something(tmp_path):
    store = Store.open(tmp_path / "runs.db")
    tasks = [ADD.model_copy(update={"prompt": f"2+3? ({n})"}) for n in range(100)]
    hard = {task.prompt for task in tasks[:12]}
    first = Batch("b", tasks[:10], n=2, mixed=3)
    seen: list[str] = []

    def plays(request):
        prompt = request.messages[0].text
        seen.append(prompt)
        return "6" if prompt in hard or seen.count(prompt) == 2 else "5"

    await sample_until(first, lambda n: tasks[:n], ScriptedModel(plays), store)
    assert len({trial.task for trial in attempts(store, "b").values()}) == 15
    assert learnable(store, "b") == {task.key for task in tasks[12:15]}
    with pytest.raises(UsageError, match="The batch c is not in the store"):
        learnable(store, "c")


async def test_a_batch_that_drew_more_is_gone_on_with_from_what_it_began_with(tmp_path):
    store = Store.open(tmp_path / "runs.db")
    tasks = [ADD.model_copy(update={"prompt": f"2+3? ({n})"}) for n in range(40)]
    first = Batch("b", tasks[:10], n=2, mixed=3)
    model = ScriptedModel(lambda _: "5")
    with anyio.CancelScope() as scope:

        def stop(trial):
            if trial.task == tasks[24]:
                scope.cancel()

        await sample_until(first, lambda n: tasks[:n], model, store, stop)

    assert 20 < len({trial.task for trial in attempts(store, "b").values()}) < 40
    await sample_until(first, lambda n: tasks[:n], model, store)
    assert attempts(store, "b").keys() == {(task.key, n) for task in tasks for n in range(2)}


async def test_drawing_ends_where_there_are_no_more_tasks(tmp_path):
    store = Store.open(tmp_path / "runs.db")
    await sample_until(Batch("b", [ADD], n=2, mixed=3), lambda _: [ADD], ScriptedModel(lambda _: "5"), store)
    assert len(attempts(store, "b")) == 2


async def test_stored_runs_are_scored_again_without_being_run_again(tmp_path):
    store = Store.open(tmp_path / "runs.db")
    await practise(Batch("b", [WRITE], n=1), Counted(), store)
    (summary,) = find(store, "batch:b")
    checks = [Check(verifier="files", parameters={"equal": {"out.txt": "no"}, "contain": {"notes.txt": "keep"}})]
    async with Desk(1) as desk:
        score = await score_run(store, list(store.events(summary.run_id)), checks, desk, WRITE.files)

    assert score.value == 0
    assert [run.reward for run in find(store, "batch:b")] == [0.0]


async def test_a_batch_is_judged_again_by_what_its_tasks_say_now(tmp_path):
    store = Store.open(tmp_path / "runs.db")
    await practise(Batch("b", [ADD, WRITE], n=2), Counted(), store)
    runs = [run.run_id for run in find(store, "batch:b")]
    now = [ADD.model_copy(update={"answer": "6"})]
    async with Desk(2) as desk:
        again = await score_again(store, runs, now, desk, extra=[Check(verifier="calls", parameters={"most": 0})])

    assert again == Again(runs=4, changed=2)
    assert [trial.reward for trial in attempts(store, "b").values()] == [0.0, 1.0, 1.0, 0.0]
    assert len(find(store, "batch:b reward.calls:1")) == 3
    assert len(find(store, "kind:own split:train batch:b")) == sum(task.split == "train" for task in (ADD, WRITE)) * 2


async def test_runs_that_tried_none_of_the_tasks_are_left_out_by_name(tmp_path):
    store = Store.open(tmp_path / "runs.db")
    await practise(Batch("b", [ADD], n=1), Counted(), store)
    (run,) = find(store)
    async with Desk(1) as desk:
        again = await score_again(store, [run.run_id], [WRITE], desk)

    assert again == Again(skipped={run.run_id: "it tried none of these tasks"})


async def test_a_persons_rating_is_a_score_that_a_recipe_can_count(tmp_path):
    store = Store.open(tmp_path / "runs.db")
    await practise(Batch("b", [ADD], n=1), Counted(), store)
    (run,) = find(store)
    check = Check(verifier="human")
    async with Desk(1) as desk:
        unrated = await score_run(store, list(store.events(run.run_id)), [check], desk)
        await rate(store, run.run_id, 0.4, "slow")
        rated = await score_run(
            store,
            list(store.events(run.run_id)),
            [Check(verifier="numeric", parameters={"expected": "5"}), check],
            desk,
        )

    assert (unrated.status, unrated.value) == ("error", None)
    assert rated.value == 0.7
    assert [found.run_id for found in find(store, "reward.human:0.4")] == [run.run_id]


async def test_cancelling_practice_keeps_what_was_done(tmp_path):
    store = Store.open(tmp_path / "runs.db")
    with anyio.CancelScope() as scope:
        batch = Batch("b", [ADD], n=50, parallel=3)
        await rollout(batch, ScriptedModel(lambda _: "5"), store, lambda _: scope.cancel())

    assert 1 <= len(attempts(store, "b")) < 50


def test_a_tally_counts_what_was_judged():
    tried = [
        Tried(task="a", reward=1.0, tokens=10, seconds=1.0),
        Tried(task="a", reward=0.0, tokens=10, seconds=1.0),
        Tried(task="b", reward=1.0, usd=None),
        Tried(task="b", reward=1.0),
        Tried(task="b", reward=None),
    ]
    assert tally(tried) == Tally(
        attempts=5,
        right=3,
        unjudged=1,
        groups=2,
        mixed=1,
        passes=(PassAt(k=1, rate=0.75, low=0.5, high=1.0), PassAt(k=2, rate=1.0, low=1.0, high=1.0)),
        tokens=20,
        seconds=2.0,
        usd=None,
    )


async def test_pairs_for_preference_training_come_from_groups(tmp_path):
    store = Store.open(tmp_path / "runs.db")
    await practise(Batch("b", [ADD], n=4), Counted(), store)
    runs = [run.run_id for run in find(store, "batch:b")]
    assert export(store, runs, tmp_path / "dpo.jsonl", "dpo").rows == 1


async def test_a_batch_is_not_mixed_with_other_tasks_or_another_model(tmp_path):
    store = Store.open(tmp_path / "runs.db")
    await practise(Batch("b", [ADD], n=1), Counted(), store)
    with pytest.raises(UsageError, match="1 tasks that are not among the 1 asked for"):
        await practise(Batch("b", [WRITE], n=1), Counted(), store)

    other = ScriptedModel("5")
    other.spec = "scripted:other"
    with pytest.raises(UsageError, match="was begun with scripted, not scripted:other"):
        await rollout(Batch("b", [ADD], n=2), other, store)

    assert len(attempts(store, "b")) == 1
