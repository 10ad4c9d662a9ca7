import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from sqlalchemy import event, func, select, text

from journeyman.errors import StoreError, UsageError
from journeyman.traces import schema
from journeyman.traces.connect import make_engine
from journeyman.traces.events import CallStarted, MessageAdded, RunFinished, RunStarted
from journeyman.traces.messages import ToolSpec, Usage
from journeyman.traces.migrations import upgrade
from journeyman.traces.store import HEAD, Store, new_run_id
from tests.traces.runs import record

pytestmark = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


def started(prompt: str = "hello") -> RunStarted:
    return RunStarted(prompt=prompt, model="scripted", tools=(ToolSpec(name="add", server="python", tool="add"),))


APART = {
    "prompt": "a long one " * 200,
    "instructions": "Be brief.",
    "model_info": {"file": "m.gguf", "template": "{{ messages }}"},
    "policy": {"name": "ask", "rules": "[[rule]]"},
    "sandbox": {"backend": "native", "level": 3},
    "returns": {"type": "integer"},
    "tools": started().tools * 2,
}


async def write_run(store: Store, prompt: str = "hello") -> str:
    run_id = new_run_id()
    recorder = store.recorder(run_id)
    recorder.record(started(prompt))
    recorder.record(RunFinished(outcome="answered", answer="hi", steps=1, usage=Usage(prompt_tokens=5)))
    await recorder.barrier()
    return run_id


async def test_what_was_recorded_is_read_back_in_order(store: Store) -> None:
    run_id = await write_run(store)

    stored = list(store.events(run_id))

    assert [(each.seq, each.event) for each in stored] == [
        (1, started()),
        (2, RunFinished(outcome="answered", answer="hi", steps=1, usage=Usage(prompt_tokens=5))),
    ]
    assert stored[0].at <= stored[1].at


async def test_runs_are_listed_newest_first(store: Store) -> None:
    ids = [await write_run(store, f"prompt {n}") for n in range(3)]

    runs = store.runs(limit=2)

    assert [run.prompt for run in runs] == ["prompt 2", "prompt 1"]
    assert runs[0].run_id == ids[2]
    assert (runs[0].outcome, runs[0].answer, runs[0].prompt_tokens) == ("answered", "hi", 5)


async def test_a_run_that_goes_on_after_its_end_is_listed_as_running(store: Store) -> None:
    run_id = await write_run(store)
    recorder = store.recorder(run_id, seq=2)
    recorder.record(MessageAdded(text="and now?"))
    await recorder.barrier()

    assert store.runs()[0].outcome is None
    assert [each.seq for each in store.events(run_id)] == [1, 2, 3]


async def test_a_run_is_found_by_a_part_of_its_id(store: Store) -> None:
    run_id = await write_run(store)

    assert store.resolve(run_id[:10]) == store.resolve(run_id[-6:]) == store.resolve("last") == run_id
    with pytest.raises(UsageError, match="no run 'nope'"):
        store.resolve("nope")


async def test_the_last_run_is_the_one_that_was_used_last(store: Store) -> None:
    with pytest.raises(UsageError, match="There are no runs in"):
        store.resolve("last")

    first, second = [await write_run(store) for _ in range(2)]
    assert store.resolve("last") == second
    recorder = store.recorder(first, seq=2)
    recorder.record(MessageAdded(text="and now?"))
    await recorder.barrier()
    assert (store.resolve("last"), [each.run_id for each in store.runs(by_use=True)]) == (first, [first, second])


async def test_a_part_that_fits_two_runs_names_them(store: Store) -> None:
    ids = [await write_run(store) for _ in range(2)]

    with pytest.raises(UsageError, match=ids[0]):
        store.resolve(ids[0][:2])


async def test_what_is_not_behind_a_barrier_is_committed_soon(store: Store, tmp_path: Path) -> None:
    recorder = store.recorder(new_run_id())
    recorder.record(started())

    with anyio.fail_after(50):
        while not store.runs():  # noqa: ASYNC110 - committed by a thread that tells nobody
            await anyio.sleep(0.01)


async def test_shared_content_is_stored_once(store: Store, tmp_path: Path) -> None:
    for _ in range(3):
        await record(store, started().model_copy(update=APART))

    with store.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.blob)) == len(APART)


async def test_two_hundred_runs_at_once_lose_nothing(store: Store) -> None:
    async with anyio.create_task_group() as group:
        for n in range(200):
            group.start_soon(write_run, store, f"prompt {n}")

    runs = store.runs(limit=None)
    assert {run.prompt for run in runs} == {f"prompt {n}" for n in range(200)}
    assert all(run.outcome == "answered" for run in runs)


async def test_the_watcher_hears_each_event_as_it_is_stored(store: Store) -> None:
    heard = []
    recorder = store.recorder("r", watch=heard.append)
    recorder.record(started('say \u2028 "hi"'))
    await recorder.barrier()

    line = json.loads(heard[0].json())
    assert (line["run_id"], line["seq"], line["type"], line["prompt"]) == ("r", 1, "run_started", 'say \u2028 "hi"')


WRITES_FOR_EVER = """
import sys, anyio
from journeyman.traces import schema
from journeyman.traces.events import CallStarted, RunStarted
from journeyman.traces.store import Store

async def main(path, run_id):
    store = Store.open(path)
    recorder = store.recorder(run_id)
    recorder.record(RunStarted(prompt="p", model="m"))
    n = 0
    while True:
        n += 1
        recorder.record(CallStarted(call_id=str(n)))
        await recorder.barrier()
        print(n, flush=True)

anyio.run(main, *sys.argv[1:])
"""


def test_kill_9_loses_nothing_that_was_behind_a_barrier(tmp_path: Path, anyio_backend: str) -> None:
    path = tmp_path / "runs.db"
    command = [sys.executable, "-c", WRITES_FOR_EVER, str(path), "r1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(50)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()

    store = Store.open(path)
    stored = list(store.events("r1"))
    store.close()
    complete = [int(line) for line in said if line.endswith("\n")]
    assert [each.seq for each in stored] == list(range(1, len(stored) + 1))
    assert CallStarted(call_id=str(complete[-1])) in [each.event for each in stored]


def test_processes_that_open_a_new_store_at_once_all_get_it(tmp_path: Path, anyio_backend: str) -> None:
    path = tmp_path / "new.db"
    code = "import sys; from journeyman.traces.store import Store; Store.open(sys.argv[1]).close()"
    processes = [subprocess.Popen([sys.executable, "-c", code, str(path)], stderr=subprocess.PIPE) for _ in range(4)]

    errors = [process.communicate(timeout=50)[1].decode() for process in processes]

    assert errors == ["", "", "", ""]


def test_a_new_store_that_another_process_is_making_is_waited_for(tmp_path: Path, anyio_backend: str) -> None:
    path = tmp_path / "runs.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other, ThreadPoolExecutor() as pool:
        other.execute("BEGIN IMMEDIATE")
        opening = pool.submit(Store.open, path)
        try:
            with pytest.raises(TimeoutError):
                opening.result(0.5)
        finally:
            other.rollback()

        opening.result(60).close()


def test_something_else_in_its_place_is_refused(tmp_path: Path, anyio_backend: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all, but long enough to be looked at " * 50)

    with pytest.raises(StoreError, match="not a database") as caught:
        Store.open(path)

    assert "JOURNEYMAN_STORE" in caught.value.fix


def test_a_folder_in_its_place_is_refused(tmp_path: Path, anyio_backend: str) -> None:
    with pytest.raises(StoreError, match="unable to open"):
        Store.open(tmp_path)


def test_a_store_from_the_future_is_refused(tmp_path: Path, anyio_backend: str) -> None:
    path = tmp_path / "runs.db"
    Store.open(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreError, match="newer journeyman"):
        Store.open(path)


def test_the_steps_that_bring_a_store_up_to_date_end_at_what_a_new_one_is(url: str, anyio_backend: str) -> None:
    Store.open(url).close()
    engine = make_engine(url, "process")
    upgrade(engine)  # from the first release on
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).all() == [(HEAD,)]

    engine.dispose()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_full_disk_is_a_typed_error_and_what_was_committed_stays(store: Store) -> None:
    run_id = await write_run(store)
    store.close()
    event.listen(store._engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 80"))
    recorder = store.recorder("big")

    recorder.record(RunStarted(prompt=os.urandom(1_000_000).hex(), model="m"))
    with pytest.raises(StoreError, match="full") as caught:
        await recorder.barrier()

    assert "disk" in caught.value.fix
    assert len(list(store.events(run_id))) == 2


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, anyio_backend: str) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(StoreError) as caught:
        Store.open(tmp_path / "sub" / "runs.db")

    assert "JOURNEYMAN_STORE" in caught.value.fix


async def test_a_store_is_its_owners_alone(tmp_path):
    path = tmp_path / "new/runs.db"
    with Store.open(path) as store, store.reading() as connection:
        connection.execute(select(schema.run))
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.glob("runs.db*")}

    assert modes == dict.fromkeys(modes, 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
