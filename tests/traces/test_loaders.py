"""What other projects' own loaders make of our files, each in an environment of its own (`.ci/loaders`)."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import anyio
import pytest
from inline_snapshot import snapshot

from journeyman.traces.export import export
from journeyman.traces.store import Store
from journeyman.training.prompts import export_tasks
from journeyman.training.taskfile import load_tasks
from tests.need import loader, need
from tests.traces.practised import GOOD, LATE, PLAIN, WRONG, truth
from tests.traces.runs import record

pytestmark = pytest.mark.timeout(300)  # PyTorch and its kin take their time to be imported
ROOT = Path(__file__).parents[2]
ALL = (GOOD, WRONG, LATE, *PLAIN)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Every format, of the same four attempts."""
    folder = tmp_path_factory.mktemp("practice")
    with Store.open(folder / "runs.db") as store:
        ids = anyio.run(stored, store)
        for form in ("tokens", "grpo", "dpo", "kto", "verl", "verifiers", "openenv", "art"):
            export(store, ids, folder / f"{form}.jsonl", form)

        export(store, ids[:2], folder / "messages.jsonl", "messages")

    tasks = load_tasks("starter", n=2, seed=1)
    export_tasks(tasks, folder / "prompts.jsonl", "trl")
    export_tasks(tasks, folder / "prompts-verl.jsonl", "verl")
    return folder


async def stored(store: Store) -> list[str]:
    return [await record(store, *(each.event for each in run), run_id=run[0].run_id) for run in ALL]


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
        for run, sample, reward in zip(ALL, (0, 1, 2, 0, 1), (1.0, 0.0, 0.0, 1.0, 0.0), strict=True)
        for sequence in truth(run)
    ]
    assert found["node"] == [8, "token", 16]  # examples/verl_8gpu.yaml, which verl has validated
    turns = [row.pop("turns") for row in found["rollouts"]]
    rewards = [row.pop("reward") for row in found["rollouts"]]
    assert [{**row, "total": reward[-1]} for row, reward in zip(found["rollouts"], rewards, strict=True)] == expected
    assert turns == [4, 4, 4, 4, 3, 3]

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
        ("b/t", 0.0, {"answer": 0.0}, 2),
        ("plain/t", 1.0, {"answer": 1.0}, 2),
        ("plain/t", 0.0, {"answer": 0.0}, 2),
    ]
    assert found[0]["branches"][0]["messages"] == snapshot(
        [
            {"role": "system", "content": "Calculate."},
            {"role": "user", "content": "2+3?"},
            {
                "role": "assistant",
                "content": "",
                "reasoning_content": "Add.",
                "tool_calls": [{"id": "c1", "type": "function", "name": "calc", "arguments": '{"expression": "2+3"}'}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "5", "name": "calc"},
            {"role": "assistant", "content": "5"},
        ]
    )
    assert [branch["messages"][1]["content"] for branch in found[4]["branches"]] == snapshot(["2+3?", "2+3?"])
    assert found[0]["tools"] == snapshot(
        [
            {
                "type": "function",
                "name": "calc",
                "namespace": None,
                "description": "Calculate.",
                "parameters": {"type": "object", "properties": {"expression": {"type": "string"}}},
                "strict": None,
            }
        ]
    )


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

    assert found[0][1]["metadata"] == snapshot(
        {"step": 2, "sequence": 0, "reward": 1.0, "group": "b/t", "sample": 0, "run_id": "b-r0"}
    )
    assert [turn["node_id"] for turns in found for turn in turns] == snapshot(
        [
            "b-r0/1",
            "b-r0/2",
            "b-r1/1",
            "b-r1/2",
            "b-r2/1",
            "b-r2/2",
            "plain-r0/1",
            "plain-r0/2",
            "plain-r1/1",
            "plain-r1/2",
        ]
    )


def test_art_needs_no_tokenizer_and_gets_no_forced_token(folder):
    found = read("art", folder)

    assert [(group["metadata"], [run["metadata"] for run in group["runs"]]) for group in found] == snapshot(
        [
            ({"group": "b/t"}, [{"run_id": "b-r1", "sample": 1}, {"run_id": "b-r2", "sample": 2}]),
            ({"group": "plain/t"}, [{"run_id": "plain-r0", "sample": 0}, {"run_id": "plain-r1", "sample": 1}]),
        ]
    )
    tokens = {run["metadata"]["run_id"]: run["tokens"] for group in found for run in group["runs"]}
    assert tokens == {run[0].run_id: [{**each, "exact": True} for each in truth(run)] for run in (WRONG, LATE, *PLAIN)}


@pytest.fixture(scope="module")
def trl(folder) -> Any:
    return read("trl", folder)


def test_trl_trains_on_what_the_model_said_and_on_nothing_a_tool_said(trl, folder):
    assert trl["raw"] == rows(folder / "messages.jsonl")
    assert [row["trained"] for row in trl["messages"]] == snapshot(
        [
            """\
<think>
Add.
</think>

<tool_call>
{"name": "calc", "arguments": {"expression": "2+3"}}
</tool_call><|im_end|>
<think>

</think>

5<|im_end|>
""",
            """\
<think>

</think>

<tool_call>
{"name": "calc", "arguments": {"expression": "2*3", "limit": null}}
</tool_call><|im_end|>
<think>

</think>

6<|im_end|>
""",
        ]
    )


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
    asked = "<|im_start|>user\n2+3?<|im_end|>\n"
    pairs = [(row["prompt_ids"].split(asked)[1], row["chosen_ids"], row["rejected_ids"]) for row in trl["dpo"]]
    turns = [(row["prompt_ids"].split(asked)[1], row["completion_ids"], row["label"]) for row in trl["kto"]]
    assert pairs == snapshot(
        [
            (
                "<|im_start|>assistant\n",
                """\
<think>
Add.
</think>

<tool_call>
{"name": "calc", "arguments": {"expression": "2+3"}}
</tool_call><|im_end|>
""",
                """\
<think>

</think>

<tool_call>
{"name": "calc", "arguments": {"expression": "2*3", "limit": null}}
</tool_call><|im_end|>
""",
            ),
            (
                """\
<|im_start|>assistant
<think>
Add.
</think>

<tool_call>
{"name": "calc", "arguments": {"expression": "2+3"}}
</tool_call><|im_end|>
<|im_start|>user
<tool_response>
5
</tool_response><|im_end|>
<|im_start|>assistant
""",
                """\
<think>

</think>

5<|im_end|>
""",
                """\
<think>

</think>

6<|im_end|>
""",
            ),
        ]
    )
    assert turns == [turn for before, good, bad in pairs for turn in ((before, good, True), (before, bad, False))]


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
    assert len({trl[name]["gradient"] for name in ("grpo", "grpo_other_logprobs", "plain")}) == 3


def test_trl_gets_the_columns_of_prompts_as_they_are_written(trl, folder):
    assert trl["prompts"] == rows(folder / "prompts.jsonl")
