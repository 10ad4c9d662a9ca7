import json

import pytest

from journeyman.cli.tasks import TEMPLATE
from journeyman.errors import ConfigError, UsageError
from journeyman.training.prove import prove
from journeyman.training.taskfile import load_tasks
from journeyman.training.tasks import Task
from journeyman.verifiers.case import Case
from journeyman.verifiers.check import Check, verify_here
from journeyman.verifiers.desk import Desk
from tests.need import need


async def faults(tasks: list[Task]) -> dict[str, list[str]]:
    async with Desk(1) as desk:
        return {task.name or task.prompt: [fault.what for fault in await prove(task, desk)] for task in tasks}


async def test_the_template_of_a_task_file_is_sound(tmp_path):
    path = tmp_path / "tasks.toml"
    path.write_text(TEMPLATE)
    assert await faults(load_tasks(str(path))) == {"notes": [], "port": []}


async def test_an_oracle_that_fails_and_a_cheat_that_passes_are_found(tmp_path):
    path = tmp_path / "tasks.jsonl"
    rows = [
        {"name": "wrong", "prompt": "2+2?", "answer": "5", "match": "numeric", "says": "4"},
        {"name": "open", "prompt": "Say yes", "checks": [{"verifier": "format", "answer": ".*"}], "says": "yes"},
        {"name": "own", "prompt": "2+2?", "files": {"a": "4"}, "answer": "4", "cheats": [{"answer": "4"}]},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert await faults(load_tasks(str(path))) == {
        "wrong": ["oracle"],
        "open": ["saying nothing", "repeating the question", "another number", "reciting the files"],
        "own": ["cheat 1"],
    }


async def test_a_subject_of_ones_own_is_practised_with_a_verifier_of_ones_own():
    found = load_tasks("examples.chemistry:tasks")
    assert {task.kind for task in found} == {"molar_mass", "balance"}
    assert await faults(found[::5]) == {task.prompt: [] for task in found[::5]}


def test_a_balanced_equation_may_have_any_multiple_of_its_coefficients():
    check = next(task for task in load_tasks("examples.chemistry:tasks") if "Na + Cl2" in task.prompt).checks[0]
    said = ("2 Na + Cl2 -> 2 NaCl", "4 Na + 2 Cl2 -> 4 NaCl", "Na + Cl2 -> NaCl", "Na + Cl2 -> NaCl2", "?")
    assert [verify_here(check, Case(prompt="?", answer=each)).value for each in said] == [1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("row", "prompt", "answer", "match"),
    [
        ({"question": "2+3?", "answer": "two and three\n#### 5"}, "2+3?", "5", "numeric"),
        ({"Problem": "Find n.", "Answer": 42, "ID": "2026-I-1"}, "Find n.", "42", "numeric"),
        ({"problem": "Simplify.", "solution": "...", "answer": r"\frac{1}{2}"}, "Simplify.", r"\frac{1}{2}", "math"),
    ],
)
def test_rows_of_known_question_sets_are_tasks_that_are_never_trained_on(row, prompt, answer, match, tmp_path):
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps(row))
    (task,) = load_tasks(str(path))
    assert (task.prompt, task.answer, task.match, task.split) == (prompt, answer, match, "held_out")
    assert task.source == f"{path}:1"


def test_a_multiple_choice_has_its_answers_in_an_order_of_its_own(tmp_path):
    path = tmp_path / "gpqa.jsonl"
    rows = [
        {
            "Question": f"Which? {n}",
            "Correct Answer": "this",
            **{f"Incorrect Answer {k}": f"that{k}" for k in (1, 2, 3)},
        }
        for n in range(12)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    found = load_tasks(str(path))
    assert all(f"{task.answer}) this" in task.prompt for task in found)
    assert {task.answer for task in found} == set("ABCD")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[task]]\nprompt = "?"\nanswr = "5"\n', "tasks.toml:3: unknown key 'answr'"),
        ('[[task]]\nanswer = "5"\n', "task.prompt: Field required"),
        ('[[task]]\nprompt = "?"\nchecks = [{ verifier = "numerik" }]\n', "no verifier 'numerik'"),
        ("[[task]", "not valid TOML"),
    ],
)
def test_a_task_file_that_is_not_right_is_refused_with_its_line(text, message, tmp_path):
    path = tmp_path / "tasks.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="(?s)" + message.replace("[", r"\[")):
        load_tasks(str(path))


def test_a_line_that_is_no_json_is_named(tmp_path):
    path = tmp_path / "tasks.jsonl"
    path.write_text('{"prompt": "?", "answer": "5"}\n{"prompt": \n')
    with pytest.raises(ConfigError, match=r"tasks.jsonl:2: no JSON"):
        load_tasks(str(path))


def test_tasks_that_do_not_exist_are_refused_with_what_does():
    with pytest.raises(UsageError, match=r"no tasks 'nothing'") as caught:
        load_tasks("nothing")

    assert "gym:NAME" in caught.value.fix


async def test_generators_of_reasoning_gym_are_tasks():
    need("reasoning_gym")
    found = load_tasks("gym:chain_sum", n=6, seed=5)
    assert found == load_tasks("gym:chain_sum", n=6, seed=5)
    assert await faults(found[:2]) == {task.prompt: [] for task in found[:2]}
    wordy = Case(prompt="?", answer=f"Adding them up, the answer is: {found[0].answer}")
    assert verify_here(found[0].checks[0], wordy).value == 1


def test_a_generator_that_does_not_exist_is_refused_with_near_ones():
    need("reasoning_gym")
    with pytest.raises(UsageError) as caught:
        load_tasks("gym:chainsum")

    assert "chain_sum" in caught.value.fix


def test_parameters_of_a_check_stand_beside_it():
    flat = Check.model_validate({"verifier": "numeric", "expected": "5", "weight": 2})
    assert flat == Check(verifier="numeric", weight=2, parameters={"expected": "5"})


@pytest.mark.parametrize(("name", "text"), [("e.toml", ""), ("e.jsonl", "\n\n"), ("e.json", "[]")])
def test_a_file_without_tasks_is_refused_with_what_makes_some(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=f"There is no task in .*{name}") as caught:
        load_tasks(str(tmp_path / name))

    assert "journeyman tasks new" in caught.value.fix


def test_tasks_that_are_all_of_the_other_split_are_told_so(tmp_path):
    path = tmp_path / "e.jsonl"
    path.write_text('{"prompt": "?", "answer": "5", "never": true}')
    with pytest.raises(UsageError, match="are held out"):
        load_tasks(str(path), split="train")


def test_several_kinds_of_the_starter_are_named_with_commas() -> None:
    kinds = [task.kind for task in load_tasks("starter:arithmetic, plan,plan", n=2)]
    assert kinds == ["arithmetic", "arithmetic", "plan", "plan"]
