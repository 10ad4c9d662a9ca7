"""Inspect's own loader reads the logs in an environment of its own: `INSPECT_PYTHON`, or where it is installed here."""

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from inline_snapshot import snapshot

from journeyman.errors import UsageError
from journeyman.traces.events import Compacted, RunStarted
from journeyman.traces.export import Skip, export
from journeyman.traces.export.inspect import lines, pack
from journeyman.traces.messages import Text
from journeyman.traces.store import Store
from journeyman.traces.writer import Stored
from tests.need import need
from tests.traces.runs import WHOLE as SHORT
from tests.traces.runs import record
from tests.traces.trips import FORK, RESUMED, UNFINISHED, WHOLE, said, stored

TRIPS = (WHOLE, RESUMED, FORK, UNFINISHED)
READ = """
import json, sys
from inspect_ai.log import read_eval_log, read_eval_log_sample_summaries

log = read_eval_log(sys.argv[1])
listed = read_eval_log_sample_summaries(sys.argv[1])
assert sorted(each.id for each in listed) == sorted(sample.id for sample in log.samples)
print(json.dumps({
    "status": log.status,
    "model": log.eval.model,
    "scores": {s.name: [s.scored_samples, s.unscored_samples, *(m.value for m in s.metrics.values())]
               for s in log.results.scores},
    "completed": {each.id: each.completed for each in listed},
    "samples": {sample.id: sample.model_dump(mode="json", exclude_none=True) for sample in log.samples},
}))
"""


@pytest.fixture(scope="module")
def read(tmp_path_factory) -> dict:
    python = os.environ.get("INSPECT_PYTHON")
    if not python:
        need("inspect_ai")

    path = tmp_path_factory.mktemp("inspect") / "runs.eval"
    with path.open("wb") as file:
        assert pack(file, (line for run in TRIPS for line in lines(run))) == len(TRIPS)

    command = [python or sys.executable, "-c", READ, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def sample(run: list[Stored]) -> dict:
    [line] = lines(run)
    return json.loads(line)


def test_inspect_reads_a_log_with_its_scores(read: dict) -> None:
    assert {key: read[key] for key in ("status", "model", "scores", "completed")} == snapshot(
        {
            "status": "success",
            "model": "several",
            "scores": {"exact": [1, 0, 1.0], "judge": [0, 1]},
            "completed": {"the-run": True, "killed": True, "the-fork": True, "going-on": False},
        }
    )


def test_inspect_reads_a_sample_as_it_was(read: dict) -> None:
    there = read["samples"]["the-run"]

    assert [(m["role"], m.get("error", {}).get("type")) for m in there["messages"]] == snapshot(
        [
            ("system", None),
            ("user", None),
            ("assistant", None),
            ("tool", None),
            ("tool", "approval"),
            ("tool", "unknown"),
            ("assistant", None),
        ]
    )
    assert there["messages"][2] == snapshot(
        {
            "id": "m2",
            "content": [
                {"type": "reasoning", "reasoning": "Which files?", "redacted": False},
                {"type": "reasoning", "reasoning": "", "redacted": True},
                {"type": "text", "text": "I look."},
            ],
            "source": "generate",
            "role": "assistant",
            "tool_calls": [
                {"id": "c1", "function": "files__read", "arguments": {"path": "boats.txt"}, "type": "function"},
                {"id": "c1_2", "function": "files__delete", "arguments": {"path": "/"}, "type": "function"},
                {
                    "id": "c1_3",
                    "function": "add",
                    "arguments": {},
                    "parse_error": "no JSON object: {oops",
                    "type": "function",
                },
            ],
            "model": "openai:gpt-5",
        }
    )
    assert there["model_usage"] == snapshot(
        {
            "openai:gpt-5": {
                "input_tokens": 22,
                "output_tokens": 10,
                "total_tokens": 40,
                "input_tokens_cache_read": 8,
                "reasoning_tokens": 4,
                "total_cost": 0.5,
            }
        }
    )
    assert there["output"]["completion"] == "Two boats."
    assert read["samples"]["killed"]["error"]["message"] == "The server is gone."


def test_inspect_reads_the_transcript_with_what_each_call_read(read: dict) -> None:
    events = read["samples"]["the-run"]["events"]

    assert [(e["event"], e.get("decision") or len(e.get("input", ()))) for e in events] == snapshot(
        [
            ("info", 0),
            ("model", 2),
            ("approval", "modify"),
            ("approval", "reject"),
            ("tool", 0),
            ("tool", 0),
            ("tool", 0),
            ("info", 0),
            ("info", 0),
            ("model", 6),
            ("info", 0),
            ("score", 0),
            ("score", 0),
        ]
    )
    assert [e["input"][-1]["role"] for e in events if e["event"] == "model"] == ["user", "tool"]
    assert next(e["modified"]["arguments"] for e in events if e.get("modified")) == {"path": "boats.md"}


@pytest.mark.parametrize("run", TRIPS)
def test_wherever_a_run_stops_it_is_a_sample(run: list[Stored]) -> None:
    for end in range(1, len(run) + 1):
        there = sample(run[:end])
        assert there["id"] == run[end - 1].run_id
        assert all(0 <= a < b <= len(there["events_data"]["messages"]) for a, b in refs(there))


def refs(there: dict) -> list[list[int]]:
    return [pair for event in there["events"] for pair in event.get("input_refs", ())]


def test_messages_are_stored_once_and_named_by_their_place() -> None:
    start = RunStarted(prompt="?", instructions="Be brief.", model="m")
    steps = [event for n in range(1, 4) for event in said(n, Text(text=str(n)))]
    there = sample(stored("r", [start, *steps, Compacted(kept=1, summary="All said."), *said(4, Text(text="4"))]))

    assert refs(there) == [[0, 2], [0, 3], [0, 4], [0, 2], [4, 6]]
    assert [m["role"] for m in there["messages"]] == ["system", "user", "user", "assistant", "assistant"]


def test_a_score_that_is_missing_is_not_zero() -> None:
    judge = sample(WHOLE)["scores"]["judge"]["value"]

    assert judge != judge  # noqa: PLR0124 - NaN, what Inspect calls unscored


def test_a_run_without_a_beginning_is_left_out() -> None:
    with pytest.raises(Skip):
        sample(WHOLE[1:])


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_log_is_an_archive_with_a_sample_for_each_run(store: Store, tmp_path: Path) -> None:
    run_id = await record(store, *SHORT)

    done = export(store, [run_id], tmp_path / "runs.eval", "inspect")

    assert (done.rows, done.runs) == (1, 1)
    with ZipFile(tmp_path / "runs.eval") as archive:
        assert archive.namelist() == [f"samples/{run_id}_epoch_1.json", "summaries.json", "header.json"]

    with pytest.raises(UsageError, match="only files called"):
        export(store, [run_id], tmp_path / "runs.json", "inspect")
