"""What must hold whatever happens to the process, the disk, the lock or the server. TESTS_KILLS asks for more."""

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import anyio
import psycopg
import pytest
from sqlalchemy import create_engine, event

from journeyman.errors import StoreError
from journeyman.traces import writer
from journeyman.traces.events import CallFinished, CallStarted, MessageAdded
from journeyman.traces.store import Store
from journeyman.traces.verify import verify
from tests.traces.runs import WHOLE, answer, record, started

KILLS = int(os.environ.get("TESTS_KILLS", "120"))
ROOT = Path(__file__).parents[2]


def crashes(url: str, effects: Path, *words: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.traces.crashes", url, str(effects), *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def fatal(store: Store) -> list[str]:
    return [f"{each.run_id} {each.detail}" for each in verify(store) if each.level == "fatal"]


@pytest.mark.timeout(60 + KILLS)
def test_killed_anywhere_the_trace_is_whole_and_no_effect_is_without_its_intent(url: str, tmp_path: Path) -> None:
    effects = tmp_path / "effects"
    with crashes(url, effects, KILLS, 7) as process:
        assert process.wait(50 + KILLS) == 0, process.communicate()[1]

    with Store.open(url) as store:
        assert fatal(store) == []
        stored = {run.run_id: list(store.events(run.run_id)) for run in store.runs(None)}

    events = [(run_id, each.event) for run_id, stored_events in stored.items() for each in stored_events]
    intended = {(run_id, each.call_id) for run_id, each in events if isinstance(each, CallStarted)}
    finished = {(run_id, each.result.call_id) for run_id, each in events if isinstance(each, CallFinished)}
    done = [tuple(line.split()) for line in effects.read_text().splitlines()]
    assert len(done) > KILLS // 4
    assert set(done) <= intended
    assert Counter(done).most_common(1)[0][1] == 1
    lost = Counter(run_id for run_id, _ in set(done) - finished)
    assert set(lost.values()) <= {1}, "more than the call in flight"
    assert len(lost) <= KILLS


@pytest.mark.timeout(120)
def test_two_processes_with_fifty_runs_each_lose_nothing(url: str, tmp_path: Path) -> None:
    both = [crashes(url, tmp_path / f"effects{n}", "many") for n in range(2)]
    for process in both:
        with process:
            assert process.wait(100) == 0, process.communicate()[1]

    with Store.open(url) as store:
        assert Counter((run.outcome, run.steps) for run in store.runs(None)) == {("answered", 7): 100}
        assert fatal(store) == []


async def test_a_lost_server_ends_the_run_and_the_next_one_goes_on(server: str, url: str) -> None:
    if "://" not in url:
        pytest.skip("a file does not go away")

    with Store.open(url) as store:
        recorder = store.recorder("r")
        recorder.record(started())
        await recorder.barrier()
        with psycopg.connect(url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

        recorder.record(MessageAdded(text="lost"))
        with pytest.raises(StoreError, match="connection") as caught:
            await recorder.barrier()

        assert "--resume" in caught.value.fix
        assert [each.event for each in store.events("r")] == [started()]
        await record(store, MessageAdded(text="again"), run_id="r", seq=1)
        assert fatal(store) == []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    with pytest.raises(StoreError, match=r"me:\*\*\*@127\.0\.0\.1:1") as caught:
        Store.open("postgresql://me:secret@127.0.0.1:1/runs")

    assert "secret" not in f"{caught.value} {caught.value.fix}"
    assert "database server runs" in caught.value.fix


def locked(file: Path):
    engine = create_engine(f"sqlite:///{file}")
    connection = engine.connect()
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    return engine, connection


async def test_a_run_waits_for_a_lock_that_is_given_back(file: Path) -> None:
    with Store.open(file) as store:
        await record(store, started(), run_id="r")
        engine, connection = locked(file)
        recorder = store.recorder("r", seq=1)
        recorder.record(MessageAdded(text="later"))
        time.sleep(writer.LINGER * 3)  # noqa: ASYNC251 - the writer's thread has met the lock by now
        connection.rollback()
        connection.close()
        engine.dispose()

        await recorder.barrier()

        assert [each.seq for each in store.events("r")] == [1, 2]


async def test_a_lock_that_is_kept_ends_the_run_with_an_error(file: Path, monkeypatch) -> None:
    monkeypatch.setattr(writer, "PATIENCE", 0.1)
    with Store.open(file) as store:
        await record(store, started(), run_id="r")
        engine, connection = locked(file)
        recorder = store.recorder("r", seq=1)
        recorder.record(MessageAdded(text="never"))
        with pytest.raises(StoreError, match="locked") as caught:
            await recorder.barrier()

        connection.rollback()
        connection.close()
        engine.dispose()

        assert "Another process" in caught.value.fix
        assert [each.seq for each in store.events("r")] == [1]
        await record(store, *WHOLE)
        assert fatal(store) == []


async def test_a_file_that_may_not_be_written_is_told(file: Path) -> None:
    with Store.open(file) as store:
        run_id = await record(store, *WHOLE)

    with Store.open(file) as store:
        event.listen(store._engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON"))
        store._engine.dispose()
        recorder = store.recorder("r")
        recorder.record(started())
        with pytest.raises(StoreError, match="readonly") as caught:
            await recorder.barrier()

        assert "permissions" in caught.value.fix
        assert len(list(store.events(run_id))) == len(WHOLE)


async def test_who_resumes_a_run_that_is_under_way_is_refused_and_hurts_nobody(url: str) -> None:
    with Store.open(url) as one, Store.open(url) as two:
        await record(one, started(), run_id="r")
        other = two.recorder("other")
        other.record(started())
        with pytest.raises(StoreError, match="another process") as caught:
            await record(two, MessageAdded(text="yours"), run_id="r", seq=1)

        await other.barrier()
        await record(one, MessageAdded(text="mine"), *answer(), run_id="r", seq=1)
        assert "Wait" in caught.value.fix
        assert [each.seq for each in two.events("r")] == [1, 2, 3, 4, 5]
        assert [each.seq for each in two.events("other")] == [1]
        with pytest.raises(StoreError, match="gone on meanwhile"):
            await record(two, MessageAdded(text="yours"), run_id="r", seq=1)

        await record(two, MessageAdded(text="then"), run_id="r", seq=5)
        assert fatal(one) == []


def test_who_is_killed_gives_its_run_back(url: str, tmp_path: Path) -> None:
    with crashes(url, tmp_path / "effects", "hold") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with Store.open(url) as store:
            with pytest.raises(StoreError, match="another process"):
                anyio.run(resumed, store)

            process.kill()
            process.wait(50)
            if "://" in url:
                wait_until_the_server_knows(url)

            anyio.run(resumed, store)
            assert [each.event for each in store.events("held")] == [started(), MessageAdded(text="me")]


async def resumed(store: Store) -> None:
    await record(store, MessageAdded(text="me"), run_id="held", seq=1)


def wait_until_the_server_knows(url: str) -> None:
    with psycopg.connect(url) as connection:
        for _ in range(500):
            count = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
            if count == (0,):
                return

            time.sleep(0.01)
