import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import update

from journeyman.errors import UsageError
from journeyman.traces import schema
from journeyman.traces.events import RunFinished, RunStarted
from journeyman.traces.export import export, whole
from journeyman.traces.messages import Thinking
from journeyman.traces.store import Store
from tests.traces.runs import WHOLE, answer, record, responded, started, step


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


async def test_a_run_is_a_conversation_with_tool_calls(store: Store, tmp_path: Path) -> None:
    run_id = await record(store, started(instructions="Be brief."), *step(), *answer())

    done = export(store, [run_id], tmp_path / "out.jsonl", "messages")

    assert (done.rows, done.skipped) == (1, {})
    [row] = rows(tmp_path / "out.jsonl")
    assert row["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How many boats?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "add", "arguments": {"a": 1, "b": 2}}}
            ],
        },
        {"role": "tool", "name": "add", "tool_call_id": "c1", "content": "3"},
        {"role": "assistant", "content": "Three boats."},
    ]
    assert sorted(row) == ["messages", "tools"]
    assert json.loads(row["tools"]) == [
        {"type": "function", "function": {"name": "add", "description": "", "parameters": {"type": "object"}}}
    ]


async def test_nothing_is_filled_up_with_nulls(store: Store, tmp_path: Path) -> None:
    events = [started(), *step(arguments='{"a": null}'), *step(2, arguments="{}"), *answer(3)]
    run_id = await record(store, *events)

    export(store, [run_id], tmp_path / "out.jsonl", "messages")

    [row] = rows(tmp_path / "out.jsonl")
    calls = [call["function"]["arguments"] for each in row["messages"] for call in each.get("tool_calls", ())]
    assert calls == [{"a": None}, {}]
    assert [sorted(each) for each in row["messages"][:2]] == [["content", "role"], ["content", "role", "tool_calls"]]


async def test_thoughts_are_kept_unless_they_are_summaries(store: Store, tmp_path: Path) -> None:
    said = responded(1, Thinking(text="hm"), Thinking(text="secret", hidden=True))
    run_id = await record(store, started(), said, RunFinished(outcome="answered"))

    export(store, [run_id], tmp_path / "out.jsonl", "messages")

    [row] = rows(tmp_path / "out.jsonl")
    assert row["messages"][-1] == {"role": "assistant", "content": "", "reasoning_content": "hm"}


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([started(), *step(arguments="{oops"), *answer()], "no JSON"),
        ([started(), *step(arguments="[1]"), *answer()], "no JSON object"),
        ([started(), *step()[:-1]], "in the middle"),
    ],
)
async def test_what_the_format_cannot_say_is_left_out_and_told(store: Store, tmp_path: Path, events, why) -> None:
    good = await record(store, *WHOLE)
    bad = await record(store, *events)

    done = export(store, [good, bad], tmp_path / "out.jsonl", "messages")

    assert (done.rows, done.runs) == (1, 1)
    assert why in done.skipped[bad]


async def test_a_damaged_run_is_left_out_and_the_others_are_written(store: Store, tmp_path: Path) -> None:
    good, bad = await record(store, *WHOLE), await record(store, *WHOLE)
    with store.writing() as connection:
        connection.execute(update(schema.event).where(schema.event.c.run_id == bad).values(body=b"\0no"))

    done = export(store, [bad, good], tmp_path / "out.jsonl", "messages")

    assert (done.rows, done.runs, list(done.skipped)) == (1, 1, [bad])
    assert "it is damaged" in done.skipped[bad]


async def test_events_are_everything(store: Store, tmp_path: Path) -> None:
    run_id = await record(store, *WHOLE)

    done = export(store, [run_id], tmp_path / "out.jsonl", "events")

    assert done.rows == len(WHOLE)
    assert (tmp_path / "out.jsonl").read_text("utf-8") == "".join(f"{each.json()}\n" for each in store.events(run_id))


async def test_a_file_appears_whole_or_not_at_all(store: Store, tmp_path: Path) -> None:
    run_id = await record(store, *WHOLE)
    out = tmp_path / "out.jsonl"
    out.write_text("older")

    with pytest.raises(UsageError, match="cannot be written"):
        export(store, [run_id], tmp_path / "no folder" / "out.jsonl", "events")

    with pytest.raises(UsageError, match="no format 'yaml'"):
        export(store, [run_id], out, "yaml")

    with pytest.raises(UsageError, match="is there already"):
        export(store, [run_id], out, "events")

    assert out.read_text() == "older"
    assert export(store, [run_id], out, "events", force=True).rows == len(WHOLE)
    assert len(rows(out)) == len(WHOLE)


def test_of_two_that_write_a_file_at_once_the_last_has_it_whole(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with whole(out, force=True) as late:
        late.write(b"late, ")
        with whole(out, force=True) as early:
            early.write(b"early")

        assert out.read_bytes() == b"early"
        late.write(b"and whole")

    assert out.read_bytes() == b"late, and whole"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_run_as_a_test_passes_and_fails_when_the_record_says_otherwise(store: Store, tmp_path: Path) -> None:
    from journeyman.agent.replay import replay  # noqa: PLC0415
    from journeyman.traces.export.pytest import write  # noqa: PLC0415
    from tests.agent.crew import Memory, call, run  # noqa: PLC0415

    memory = Memory()
    await run([call(a=1, b=2), '3 """ \\'], memory=memory)
    stored = list(store.events(await record(store, *memory.events)))
    done = await replay([each.event for each in stored])
    test, events = write(stored, tmp_path / "pinned", done.digest)

    assert pytest_says(test) == 0
    events.write_text(events.read_text("utf-8").replace('"text":"3"', '"text":"4"'), "utf-8")
    assert pytest_says(test) == 1
    assert isinstance(stored[0].event, RunStarted)


def pytest_says(test: Path) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(test.parent), str(test)]
    return subprocess.run(command, cwd=test.parent, capture_output=True, check=False, timeout=50).returncode
