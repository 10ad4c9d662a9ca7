import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, update

from journeyman.traces import schema
from journeyman.traces.chain import Chain, Entry, line, seal
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


CHANGES = {
    "a body": (update(event).where(event.c.seq == 4).values(body="{}"), "chain"),
    "a time": (update(event).where(event.c.seq == 4).values(at=1), "chain"),
    "a type": (update(event).where(event.c.seq == 6).values(type="call_progress"), "chain"),
    "tokens": (update(event).where(event.c.seq == 3).values(tokens=b""), "chain"),
    "a link": (update(event).where(event.c.seq == 10).values(link=b"x" * 32), "chain"),
    "one event less": (delete(event).where(event.c.seq == 4), "chain"),
    "the end cut off": (delete(event).where(event.c.seq > 8), "cut"),
    "all events gone": (delete(event), "lost"),
    "content changed": (update(schema.blob).values(data=b"[]"), "blob"),
    "content gone": (delete(schema.blob), "blob"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_whatever_was_changed_is_found(store: Store, change: str) -> None:
    run_id = await record(store, *WHOLE)
    found(store)
    statement, code = CHANGES[change]
    tamper(store, statement)

    reports = [*verify(store), *verify(store, [run_id])]
    assert ("fatal", code) in [(each.level, each.code) for each in reports]


async def test_a_tail_without_a_link_is_told(store: Store) -> None:
    await record(store, *WHOLE)
    tamper(store, update(event).values(link=None))

    assert found(store) == [("warn", "unsealed")]


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


entries = st.builds(
    Entry,
    seq=st.integers(1, 99),
    at=st.integers(0, 2**60),
    type=st.text(),
    body=st.text(),
    tokens=st.none() | st.binary(),
)


@given(st.lists(entries, min_size=1, max_size=5), st.integers(0, 4), entries)
def test_no_event_can_be_exchanged_for_another(run, at, other) -> None:
    run = [each._replace(seq=n, body=each.body.replace("\n", "")) for n, each in enumerate(run, 1)]
    at %= len(run)
    changed = [*run[:at], other._replace(seq=at + 1, body=other.body.replace("\n", "")), *run[at + 1 :]]

    def broken(events: list[Entry]) -> list:
        chain = Chain()
        link = seal(b"", (line(*each) for each in run))
        return [b for e in events for b in chain.add(e, link if e.seq == len(run) else None)]

    assert broken(run) == []
    assert (broken(changed) == []) == (changed == run)
