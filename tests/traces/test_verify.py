import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, update

from journeyman.traces import schema
from journeyman.traces.chain import START, seal
from journeyman.traces.codec import Row
from journeyman.traces.events import MessageAdded, RunResumed
from journeyman.traces.forget import delete_runs
from journeyman.traces.store import Store
from journeyman.traces.verify import last_link, verify
from tests.traces.runs import WHOLE, answer, exact, record, span, started, step

event = schema.event


def found(store: Store, *run_ids: str) -> list[tuple[str, str]]:
    return [(each.level, each.code) for each in verify(store, run_ids or None)]


def tamper(store: Store, *statements) -> None:
    with store.writing() as connection:
        for statement in statements:
            connection.execute(statement)


async def test_a_store_that_nobody_touched_is_right(store: Store) -> None:
    run_id = await record(store, started(), *step())
    await record(store, *answer(), run_id=run_id, seq=7)
    await record(store, RunResumed(), MessageAdded(text="more"), *answer(3), run_id=run_id, seq=10)

    assert found(store) == []
    assert len(last_link(store, run_id)) == 64


async def in_commits(store: Store) -> str:
    """WHOLE, whose rows end with events 3, 7 and 10."""
    tokens = exact(span("sampled", 1, logprobs=(-0.5,)), root=True)
    run = [started(), *step(tokens=tokens), *answer()]
    await record(store, *run[:3], run_id="r")
    await record(store, *run[3:7], run_id="r", seq=3)
    return await record(store, *run[7:], run_id="r", seq=7)


CHANGES = {
    "what was said": (update(event).where(event.c.seq == 7).values(body=b"[]"), "chain"),
    "words that cannot be read": (update(event).where(event.c.seq == 7).values(body=b"\0no"), "unreadable"),
    "a time": (update(event).where(event.c.seq == 7).values(at=1), "chain"),
    "tokens": (update(event).where(event.c.seq == 3).values(tokens=b""), "chain"),
    "what content is named": (update(event).where(event.c.seq == 3).values(blobs=b"x" * 96), "chain"),
    "a link": (update(event).where(event.c.seq == 10).values(link=b"x" * 32), "chain"),
    "a row less": (delete(event).where(event.c.seq == 7), "chain"),
    "the beginning cut off": (delete(event).where(event.c.seq == 3), "chain"),
    "the end cut off": (delete(event).where(event.c.seq > 7), "cut"),
    "all events gone": (delete(event), "lost"),
    "content changed": (update(schema.blob).values(data=b"[]"), "blob"),
    "content broken": (update(schema.blob).values(data=b"\0no"), "blob"),
    "content gone": (delete(schema.blob), "blob"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_whatever_was_changed_is_found(store: Store, change: str) -> None:
    run_id = await in_commits(store)
    assert [level for level, _ in found(store) if level == "fatal"] == []
    statement, code = CHANGES[change]
    tamper(store, statement)

    reports = [*verify(store), *verify(store, [run_id])]
    assert ("fatal", code) in [(each.level, each.code) for each in reports]


async def test_findings_of_the_token_record_are_listed_with_their_step(store: Store) -> None:
    wrong = exact(span("context", 1), span("sampled", 2, logprobs=(0.5,)), root=True, kind="processed")
    run_id = await record(store, started(), *answer(1, tokens=wrong))

    [report] = verify(store)

    assert (report.run_id, report.level, report.code) == (run_id, "fatal", "positive_logprob")
    assert report.detail.startswith("step 1: ")


async def test_a_run_without_an_end_is_told(store: Store) -> None:
    await record(store, started())

    assert found(store) == [("info", "unfinished")]


async def test_a_deleted_run_is_told_and_is_no_fault(store: Store) -> None:
    run_id = await record(store, *WHOLE)
    link = last_link(store, run_id)
    delete_runs(store, [run_id])

    [report] = verify(store)

    assert (report.run_id, report.level, report.code) == (run_id, "info", "deleted")
    assert f"10 events, last link {link}" in report.detail


async def test_a_fork_whose_parent_is_gone_is_told(store: Store) -> None:
    await record(store, *WHOLE, run_id="parent")
    await record(store, started(parent="parent", parent_seq=7), *answer(2), run_id="fork")
    found(store)
    tamper(
        store,
        delete(event).where(event.c.run_id == "parent"),
        delete(schema.run).where(schema.run.c.run_id == "parent"),
    )

    assert found(store) == [("fatal", "parent")]


rows = st.builds(
    Row,
    seq=st.integers(1, 99),
    at=st.integers(0, 2**60),
    body=st.binary(),
    blobs=st.none() | st.binary(min_size=32, max_size=32),
    tokens=st.none() | st.binary(min_size=1),
)


@given(st.binary(min_size=32, max_size=32), rows, rows)
def test_no_row_can_be_exchanged_for_another(link: bytes, row: Row, other: Row) -> None:
    assert (seal(link, row) == seal(link, other)) == (row == other)
    assert seal(link, row) != seal(START, row)
