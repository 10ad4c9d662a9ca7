"""`datasets` reads the conversations in an environment of its own: `DATASETS_PYTHON`, or where it is installed here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from journeyman.traces.export import export
from journeyman.traces.messages import Thinking
from journeyman.traces.store import Store
from tests.need import need
from tests.traces.runs import answer, record, responded, started, step

LOAD = """
import json, sys
from datasets import load_dataset
rows = load_dataset("json", data_files=sys.argv[1], split="train", cache_dir=sys.argv[2])
print(json.dumps([rows[n] for n in range(len(rows))]))
"""


def load(python: str, rows: Path) -> list[dict]:
    done = subprocess.run(
        [python, "-c", LOAD, str(rows), str(rows.parent / "cache")],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_datasets_loads_conversations_without_loss(store: Store, tmp_path: Path) -> None:
    python = os.environ.get("DATASETS_PYTHON")
    if not python:
        need("datasets")

    arguments = ['{"a": 1}', '{"a": "one", "b": [1, {"c": null}]}', "{}", '{"z": {"deep": [true, 2.5]}, "a": [1]}']
    runs = [
        await record(store, started(instructions="Be brief."), *step(arguments=each, result="ü \U0001f6a2"), *answer())
        for each in arguments
    ]
    runs.append(await record(store, started(), *step(), responded(2, Thinking(text="Hm.")), *answer(3)))
    out = tmp_path / "sft.jsonl"
    assert export(store, runs, out, "messages").rows == len(runs)

    assert load(python or sys.executable, out) == [json.loads(line) for line in out.read_text("utf-8").splitlines()]
