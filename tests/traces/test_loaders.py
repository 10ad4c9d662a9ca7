"""What other projects' own loaders make of our files, each in an environment of its own (`.ci/loaders`)."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from journeyman.traces.export import export
from journeyman.traces.store import Store
from journeyman.training.prompts import export_tasks
from journeyman.training.taskfile import load_tasks
from tests.need import loader, need
from tests.traces.practised import GOOD, PLAIN, WRONG, truth
from tests.traces.runs import record

ROOT = Path(__file__).parents[2]
ALL = (GOOD, WRONG, *PLAIN)


@pytest.fixture(scope="module")
async def folder(tmp_path_factory) -> Path:
    """Every format, of the same four attempts."""
    folder = tmp_path_factory.mktemp("practice")
    with Store.open(folder / "runs.db") as store:
        ids = [await record(store, *(each.event for each in run), run_id=run[0].run_id) for run in ALL]
        for form in ("tokens", "grpo", "dpo", "kto", "verl", "verifiers", "openenv", "art"):
            export(store, ids, folder / f"{form}.jsonl", form)

        export(store, ids[:2], folder / "messages.jsonl", "messages")

    tasks = load_tasks("starter", n=2, seed=1)
    export_tasks(tasks, folder / "prompts.jsonl", "trl")
    export_tasks(tasks, folder / "prompts-verl.jsonl", "verl")
    return folder


def read(name: str, folder: Path) -> Any:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1", "HF_HOME": str(folder / "hf")}
    command = [str(loader(name)), "-m", f"tests.traces.loaders.read_{name}", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "found.json").read_text("utf-8"))


def rows(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def cut(sequence: dict[str, list]) -> int:
    return sequence["mask"].index(1)


@pytest.mark.timeout(300)
def test_verl_makes_tensors_of_exactly_the_tokens_that_were_drawn(folder):
    need("pyarrow")
    export_tasks(load_tasks("starter", n=2, seed=1), folder / "prompts.parquet", "verl")

    found = read("verl", folder)

    expected = [
        {
            "prompt": sequence["ids"][: cut(sequence)],
            "response": sequence["ids"][cut(sequence) :],
            "mask": sequence["mask"][cut(sequence) :],
            "logprobs": sequence["logprobs"][cut(sequence) :],
            "total": reward,
            "extra": {"group": f"{run[0].run_id[:-3]}/t", "sample": sample, "run_id": run[0].run_id},
        }
        for run, sample, reward in zip(ALL, (0, 1, 0, 1), (1.0, 0.0, 1.0, 0.0), strict=True)
        for sequence in truth(run)
    ]
    turns = [row.pop("turns") for row in found["rollouts"]]
    got = [{**row, "total": row.pop("reward")[-1]} for row in found["rollouts"]]
    assert got == expected
    assert turns == [4, 4, 4, 3, 3]

    parquet, lines = found["tasks"]
    assert parquet == lines
    assert [{key: row[key] for key in row if key != "seen"} for row in lines] == rows(folder / "prompts-verl.jsonl")
    assert [row["seen"] for row in lines] == [row["prompt"] for row in lines]


def test_verifiers_reads_branches_with_their_tokens_and_messages(folder):
    found = read("verifiers", folder)

    assert [
        [{key: branch[key] for key in ("ids", "mask", "logprobs")} for branch in each["branches"]] for each in found
    ] == [truth(run) for run in ALL]
    assert [(each["group"], each["reward"], each["metrics"], each["turns"]) for each in found] == [
        ("b/t", 1.0, {"answer": 1.0}, 2),
        ("b/t", 0.0, {"answer": 0.0}, 2),
        ("plain/t", 1.0, {"answer": 1.0}, 2),
        ("plain/t", 0.0, {"answer": 0.0}, 2),
    ]
    assert found[0]["branches"][0]["messages"] == snapshot()
    assert [branch["messages"][1]["content"] for branch in found[3]["branches"]] == snapshot()
    assert found[0]["tools"] == snapshot()


def test_openenv_takes_each_model_call_with_its_mask(folder):
    found = read("openenv", folder)

    for run, turns in zip(ALL, found, strict=True):
        for number, sequence in enumerate(truth(run)):
            of = [turn for turn in turns if turn["metadata"]["sequence"] == number]
            last = of[-1]
            assert last["prompt_token_ids"] + last["completion_token_ids"] == sequence["ids"]
            for turn in of:
                at, end = len(turn["prompt_token_ids"]), len(turn["loss_mask"])
                assert turn["prompt_token_ids"] + turn["completion_token_ids"] == sequence["ids"][:end]
                assert turn["loss_mask"] == [0] * at + sequence["mask"][at:end]
                assert turn["per_token_logps"] == sequence["logprobs"][at:end]

    assert found[0][1]["metadata"] == snapshot()
    assert [turn["node_id"] for turns in found for turn in turns] == snapshot()


def test_art_needs_no_tokenizer_and_gets_no_forced_token(folder):
    found = read("art", folder)

    assert [(group["metadata"], [run["metadata"] for run in group["runs"]]) for group in found] == snapshot()
    tokens = {run["metadata"]["run_id"]: run["tokens"] for group in found for run in group["runs"]}
    assert tokens == {run[0].run_id: [{**each, "exact": True} for each in truth(run)] for run in (WRONG, *PLAIN)}


@pytest.fixture(scope="module")
def trl(folder) -> Any:
    return read("trl", folder)


@pytest.mark.timeout(300)
def test_trl_trains_on_what_the_model_said_and_on_nothing_a_tool_said(trl, folder):
    assert trl["raw"] == rows(folder / "messages.jsonl")
    assert [row["trained"] for row in trl["messages"]] == snapshot()


def test_trl_trains_on_the_very_tokens(trl):
    longest = max(len(sequence["ids"]) for run in ALL for sequence in truth(run))
    expected: dict[str, list] = {"input_ids": [], "labels": []}
    for sequence in (sequence for run in ALL for sequence in truth(run)):
        labels = [id_ if drawn else -100 for id_, drawn in zip(sequence["ids"], sequence["mask"], strict=True)]
        missing = longest - len(labels)
        expected["input_ids"].append(sequence["ids"] + [256] * missing)
        expected["labels"].append(labels + [-100] * missing)

    assert trl["tokens"] == expected


def test_trl_compares_one_turn_after_the_same_conversation(trl):
    assert trl["dpo"] == snapshot()
    assert trl["kto"] == snapshot()


def test_trl_replays_practice_with_the_probabilities_it_was_drawn_with(trl):
    [good], [wrong] = truth(GOOD), truth(WRONG)
    batch = trl["grpo"]

    for at, sequence in enumerate((good, wrong)):
        rest = len(sequence["ids"]) - cut(sequence)
        assert batch["prompt_ids"][at] == sequence["ids"][: cut(sequence)]
        assert batch["completion_ids"][at][:rest] == sequence["ids"][cut(sequence) :]
        assert batch["tool_mask"][at][:rest] == sequence["mask"][cut(sequence) :]
        assert batch["old_per_token_logps"][at][:rest] == sequence["logprobs"][cut(sequence) :]

    assert batch["advantages"][0] > 0 > batch["advantages"][1]
    assert trl["trained"] == 1


def test_without_the_subclass_trl_does_not_use_the_probabilities(trl):
    assert trl["plain"]["gradient"] == trl["plain_other_logprobs"]["gradient"]
    assert trl["grpo"]["gradient"] != trl["grpo_other_logprobs"]["gradient"]
    assert trl["grpo"]["gradient"] != trl["plain"]["gradient"]


def test_trl_gets_the_columns_of_prompts_as_they_are_written(trl, folder):
    assert trl["prompts"] == rows(folder / "prompts.jsonl")
