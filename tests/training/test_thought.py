import pytest

from journeyman.traces.events import ModelRequested, Sample
from journeyman.traces.messages import Text, Thinking, ToolCall
from journeyman.traces.store import Store
from journeyman.training.controls import by_format
from journeyman.training.course import Course, Found, Stage
from journeyman.training.report import write_report
from journeyman.training.rows import Row, groups_of
from journeyman.training.thought import ON_TOP, thoughtful, with_form
from tests.traces.runs import answer, record, responded, started

CALL = ToolCall(id="c1", name="add", arguments="{}")
THOUGHT = Thinking(text="add: 1, 2")


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ([[THOUGHT, CALL], [THOUGHT, CALL]], [True]),
        ([[THOUGHT, CALL], [CALL]], [False]),
        ([[CALL, THOUGHT]], [False]),
        ([[Thinking(text=" \n"), CALL]], [False]),
        ([[Text(text="Let me add."), CALL]], [False]),
        ([[THOUGHT, Text(text="Three.")]], []),
    ],
    ids=["each", "first only", "afterwards", "empty", "no thought", "no call"],
)
async def test_a_run_is_thoughtful_that_thinks_before_each_call(tmp_path, steps, found):
    said = [event for n, parts in enumerate(steps, 1) for event in (ModelRequested(step=n), responded(n, *parts))]
    with Store.open(tmp_path / "s.db") as store:
        sample = Sample(batch="b", task="t", index=0)
        await record(store, started(sample=sample), *said, *answer(len(steps) + 1))
        await record(store, started(sample=sample.model_copy(update={"batch": "other"})), *answer())
        assert list(thoughtful(store, "b").values()) == found


async def test_a_control_of_form_takes_what_did_not_think_first_for_bad_form_and_not_what_called_nothing(tmp_path):
    sample = Sample(batch="b", task="t", index=0)
    with Store.open(tmp_path / "s.db") as store:
        bare = await record(store, started(sample=sample), ModelRequested(step=1), responded(1, CALL), *answer(2))
        silent = await record(store, started(sample=sample), *answer())
        thought = thoughtful(store, "b")
        assert by_format(store, "b") == {bare, silent}
        assert by_format(store, "b", thought) == {silent}


def test_a_thought_is_worth_less_than_a_right_answer_and_makes_groups_differ_that_are_right():
    rows = [Row([1, 2], [0, 1], group="g", run_id=name, reward=worth) for name, worth in (("a", 1.0), ("b", 1.0))]
    thought = with_form(rows, {"a": True, "b": False})
    assert [row.reward for row in thought] == [1.0 + ON_TOP, 1.0]
    assert (list(groups_of(rows)), list(groups_of(thought))) == ([], ["g"])
    assert ON_TOP < 1


def test_a_report_says_how_often_each_stage_thought_and_what_it_got_for_it(tmp_path):
    stages = (
        Stage(number=1, name="cold", thought=(True, False, True)),
        Stage(number=2, name="grpo", thought=(True, True, True)),
    )
    found = Found(course=Course(name="c", tasks="t", base=tmp_path / "b.gguf", aloud=True), stages=stages)
    text = write_report(found, {}, tmp_path).read_text("utf-8")
    told = "Held-out runs that thought before each call: 1 cold 2 of 3, 2 grpo 3 of 3. A grpo stage gives 0.2 for it."
    assert told in text
