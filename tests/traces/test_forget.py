from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from journeyman.errors import StoreError, UsageError
from journeyman.traces import projections, schema
from journeyman.traces.find import find
from journeyman.traces.forget import delete_runs, gc, stats
from journeyman.traces.project import refresh
from journeyman.traces.store import Store, new_run_id, rows_of
from tests.traces.conftest import new_schema
from tests.traces.runs import WHOLE, answer, record, said, scored, started, step

SECRET = "Zanzibarquux"
"""A word that is nowhere else."""


def secret_run(**more):
    long = f"{SECRET} " * 1000
    return [
        started(f"{SECRET}?", **more),
        *step(arguments=f'{{"x": "{SECRET}"}}', result=long),
        *answer(text=SECRET),
        scored(1.0),
    ]


def everything(store: Store) -> str:
    """All that is in the database, as text."""
    with store.reading() as connection:
        tables = [*schema.metadata.tables.values(), *projections.metadata.tables.values()]
        dumped = [str(connection.execute(select(table)).all()) for table in tables]
        if store.dialect == "postgresql":
            dumped.append(str(connection.execute(text("SELECT * FROM words")).all()))

    return "\n".join([said(store).decode(), *dumped])


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes().lower() for file in folder.glob("runs.db*"))


async def test_what_a_deleted_run_said_is_nowhere_any_more(store: Store, tmp_path: Path) -> None:
    run_id = await record(store, *secret_run(instructions=f"Be {SECRET}."))
    kept = await record(store, *WHOLE)
    assert [run.run_id for run in find(store, SECRET)] == [run_id]
    assert SECRET.lower() in everything(store).lower()
    with store.reading() as connection:
        written = [row.body.lower() for row in connection.execute(rows_of(run_id))]

    assert delete_runs(store, [run_id]) > 100

    assert SECRET.lower() not in everything(store).lower()
    for gone in [SECRET.lower().encode(), *written]:
        assert gone not in on_disk(tmp_path)

    assert [run.run_id for run in store.runs()] == [kept]
    assert [run.run_id for run in find(store, "boats")] == [kept]
    assert find(store, SECRET) == []
    assert list(store.events(run_id)) == []
    with pytest.raises(UsageError, match="no run"):
        store.resolve(run_id)


def files_of(store: Store) -> bytes:
    """What PostgreSQL keeps of our tables."""
    with store.reading() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("CHECKPOINT")
        place = Path(connection.exec_driver_sql("SHOW data_directory").scalar_one())
        query = "SELECT pg_relation_filepath(oid) FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
        files = [place / name for name in connection.exec_driver_sql(query).scalars() if name]
        return b"".join(file.read_bytes().lower() for file in files if file.exists())


async def test_after_gc_it_is_not_even_in_postgresql_s_files(server: str) -> None:
    with Store.open(new_schema(server)) as store:
        run_id = await record(store, *secret_run())
        find(store, SECRET)
        with store.reading() as connection:
            traces = [SECRET.encode(), *(body[:100] for body in connection.scalars(select(schema.event.c.body)))]

        assert all(trace.lower() in files_of(store) for trace in traces)

        delete_runs(store, [run_id])
        gc(store)

        assert not any(trace.lower() in files_of(store) for trace in traces)


async def test_content_that_another_run_names_stays(store: Store) -> None:
    first, second = [await record(store, *WHOLE) for _ in range(2)]
    refresh(store)

    assert delete_runs(store, [first]) == 0

    assert [each.event for each in store.events(second)] == WHOLE
    assert delete_runs(store, [second]) > 0
    assert stats(store).blobs == 0


async def test_what_a_fork_shares_is_not_taken_from_it(store: Store) -> None:
    await record(store, *WHOLE, run_id="parent")
    await record(store, started(parent="parent", parent_seq=7), *answer(2), run_id="fork")

    with pytest.raises(UsageError, match="fork") as caught:
        delete_runs(store, ["parent"])

    assert caught.value.fix.endswith("journeyman traces delete parent fork")
    assert stats(store).runs == 2
    delete_runs(store, ["parent", "fork"])
    assert (stats(store).runs, stats(store).deleted) == (0, 2)


async def test_a_fork_begins_with_what_it_shares(store: Store) -> None:
    await record(store, *WHOLE, run_id="parent")
    own = [started(parent="parent", parent_seq=7), *answer(2, "Nine.")]
    await record(store, *own, run_id="fork")
    await record(store, started(parent="fork", parent_seq=2), *answer(2, "Ten."), run_id="fork of fork")

    events = list(store.events("fork of fork"))

    assert [(each.run_id, each.seq) for each in events] == [
        *(("parent", n) for n in range(1, 8)),
        ("fork", 1),
        ("fork", 2),
        *(("fork of fork", n) for n in range(1, 5)),
    ]
    with store.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.event)) == 3

    assert stats(store).events == len(WHOLE) + 4 + 4


async def test_a_fork_without_its_parent_is_an_error(store: Store) -> None:
    await record(store, started(parent="gone", parent_seq=7), *answer(2), run_id="fork")

    with pytest.raises(StoreError, match="The run gone"):
        list(store.events("fork"))


async def test_gc_gives_space_back(store: Store) -> None:
    for n in range(30):
        await record(store, *secret_run(), run_id=f"r{n}")

    delete_runs(store, [f"r{n}" for n in range(30)])
    before = stats(store).bytes

    assert gc(store) == 0
    assert stats(store).bytes < before if store.dialect == "sqlite" else stats(store).bytes
    assert stats(store).deleted == 30


async def test_a_run_that_is_being_written_is_not_deleted(store: Store, url: str) -> None:
    run_id = new_run_id()
    recorder = store.recorder(run_id)
    for event in WHOLE[:-1]:
        recorder.record(event)

    await recorder.barrier()
    with closing(Store.open(url)) as other, pytest.raises(UsageError, match=f"{run_id} is being written"):
        delete_runs(other, [run_id])

    recorder.record(WHOLE[-1])
    await recorder.barrier()
    assert [each.seq for each in store.events(run_id)] == list(range(1, len(WHOLE) + 1))
    delete_runs(store, [run_id])
    assert store.runs() == []
