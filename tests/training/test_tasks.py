from random import Random

import pytest

from journeyman.errors import UsageError
from journeyman.mcp_servers.calculator.evaluate import calculate
from journeyman.training.families import arithmetic, stories
from journeyman.training.families.exact import shown, value
from journeyman.training.generate import families, generate
from journeyman.training.judge import judge
from journeyman.training.prove import prove
from journeyman.training.tasks import Task
from journeyman.verifiers.case import Case
from journeyman.verifiers.desk import Desk

KINDS = tuple(families())


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_tasks(kind):
    assert generate(kind, 10, seed=3, split="train") == generate(kind, 10, seed=3, split="train")


@pytest.mark.parametrize("kind", KINDS)
def test_no_question_is_in_both_splits_whatever_the_seeds(kind):
    train = {task.prompt for seed in range(5) for task in generate(kind, 30, seed=seed, split="train")}
    held_out = {task.prompt for seed in range(5) for task in generate(kind, 20, seed=seed, split="held_out")}
    assert not train & held_out


@pytest.mark.parametrize("kind", KINDS)
def test_templates_of_the_held_out_split_are_never_trained_on(kind):
    held_out = generate(kind, 20, seed=1, split="held_out")
    assert {task.unseen for task in held_out} == {True, False}
    assert not any(task.unseen for task in generate(kind, 40, seed=1, split="train"))


def test_a_kind_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(UsageError, match="'arithmetics'") as caught:
        generate("arithmetics", 1, seed=1, split="train")

    assert "arithmetic, word_problem" in caught.value.fix


def test_a_family_with_too_few_questions_says_so():
    with pytest.raises(UsageError, match="chat has only"):
        generate("chat", 100_000 // 400, seed=1, split="held_out")


@pytest.mark.parametrize("kind", KINDS)
async def test_every_oracle_is_right_and_every_cheat_is_wrong(kind):
    async with Desk(1) as desk:
        faults = {task.prompt: await prove(task, desk) for task in generate(kind, 12, seed=7, split="held_out")}

    assert faults == dict.fromkeys(faults, ())


@pytest.mark.parametrize("make", [arithmetic.make, stories.make], ids=["arithmetic", "stories"])
def test_the_calculator_agrees_with_the_reference(make):
    random = Random(5)  # noqa: S311 - drawing questions
    for _ in range(300):
        task: Task = make(random, random.random() < 0.5)
        expression = str(task.oracle[0].arguments["expression"])
        assert calculate(expression).exact == str(value(expression))


def test_numbers_are_shown_as_people_write_them():
    assert [shown(value(text)) for text in ("7 / 2", "12 / 4", "1 / 3", "0.1 + 0.2", "2 - 5")] == [
        "3.5",
        "3",
        "1/3",
        "0.3",
        "-3",
    ]


def test_a_file_that_was_not_written_is_a_wrong_run():
    task = next(one for one in generate("file_change", 9, seed=1, split="train") if one.expects)
    assert judge(task, Case(prompt=task.prompt, answer=f"Wrote {task.answer}.")).value == 0


async def test_functions_to_write_are_judged_by_calls_that_nobody_has_seen():
    tasks = generate("coding", 3, seed=4, split="train")
    assert all(str(task.verifiers[0].parameters["calls"]).count("expect") > 1 for task in tasks)
    async with Desk(1) as desk:
        assert await prove(tasks[0], desk) == ()
