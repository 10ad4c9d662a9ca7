import json

import pytest
from inline_snapshot import snapshot

from journeyman.errors import UsageError
from journeyman.training.prompts import export_tasks
from journeyman.training.tasks import Task
from journeyman.verifiers.check import Check
from tests.need import need

OWN = Task(
    kind="notes", prompt="How many bytes?", answer="18", match="numeric", files={"notes.txt": "eighteen letters.\n"}
)
CHECKED = Task(kind="json", prompt="Which sum?", checks=(Check(verifier="exact", parameters={"expected": "5"}),))
TEST = Task(prompt="A published test", answer="1", never=True)


def rows(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_tasks_are_prompts_with_what_a_reward_function_needs(tmp_path):
    done = export_tasks([OWN, TEST, CHECKED], tmp_path / "out.jsonl", "trl")

    assert (done.rows, done.skipped) == (2, {TEST.key: "it is held out"})
    assert rows(tmp_path / "out.jsonl") == snapshot(
        [
            {
                "prompt": [{"role": "user", "content": "How many bytes?"}],
                "task": "e83830341ef8a046",
                "kind": "notes",
                "ground_truth": "18",
                "verifiers": '[{"verifier": "numeric", "parameters": {"expected": "18"}}]',
                "files": '{"notes.txt": "eighteen letters.\\n"}',
            },
            {
                "prompt": [{"role": "user", "content": "Which sum?"}],
                "task": "cbf692c3745ad67d",
                "kind": "json",
                "ground_truth": "",
                "verifiers": '[{"verifier": "exact", "parameters": {"expected": "5"}}]',
                "files": "{}",
            },
        ]
    )


def test_verl_gets_its_own_columns_and_the_same_in_parquet(tmp_path):
    need("pyarrow")
    from pyarrow.parquet import read_table  # noqa: PLC0415

    for name in ("out.jsonl", "out.parquet"):
        export_tasks([OWN, TEST, CHECKED], tmp_path / name, "verl")

    written = rows(tmp_path / "out.jsonl")
    assert written[0] == snapshot(
        {
            "data_source": "journeyman/notes",
            "prompt": [{"role": "user", "content": "How many bytes?"}],
            "ability": "notes",
            "reward_model": {"style": "rule", "ground_truth": "18"},
            "extra_info": {
                "split": "train",
                "index": 0,
                "task": "e83830341ef8a046",
                "verifiers": '[{"verifier": "numeric", "parameters": {"expected": "18"}}]',
                "files": '{"notes.txt": "eighteen letters.\\n"}',
            },
        }
    )
    assert read_table(tmp_path / "out.parquet").to_pylist() == written


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UsageError, match="cannot be written"):
        export_tasks([OWN], tmp_path / "none" / "out.jsonl", "trl")
