import time

from sqlalchemy import select, text, update

from journeyman.traces import projections, schema
from journeyman.traces.events import ApprovalAnswered, MessageAdded, RunResumed
from journeyman.traces.project import rebuild, refresh
from journeyman.traces.store import Store
from tests.traces.runs import WHOLE, answer, exact, record, scored, span, started, step


def rows(store: Store, query) -> list[dict]:
    with store.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def dump(store: Store) -> dict[str, list]:
    """Everything the projections say, ids of documents and the time of writing aside."""
    tables = {table.name: rows(store, select(table)) for table in (*projections.OF_A_RUN, projections.tool, schema.run)}
    return {name: sorted(found, key=str) for name, found in tables.items()}


async def test_a_run_that_has_ended_is_projected_when_asked_for(store: Store) -> None:
    run_id = await record(store, *WHOLE, scored(1.0), scored(0.5, "style"), scored(None, "judge"))

    assert (refresh(store), refresh(store)) == (1, 0)
    [run] = rows(store, select(schema.run))
    assert {name: run[name] for name in ("outcome", "reward", "cost_usd", "calls", "errors", "level", "steps")} == {
        "outcome": "answered",
        "reward": 0.75,
        "cost_usd": 0.5,
        "calls": 1,
        "errors": 0,
        "level": "text",
        "steps": 2,
    }
    [call] = rows(store, select(projections.tool_call))
    assert call == {
        "run_id": run_id,
        "call_id": "c1",
        "step": 1,
        "seq": 4,
        "tool": "python.add",
        "effect": "allow",
        "rules": '["r1"]',
        "reason": "so",
        "approved": None,
        "approved_by": None,
        "edited": False,
        "status": "ok",
        "seconds": 0.5,
    }
    messages = rows(store, select(projections.run_message).order_by(projections.run_message.c.ordinal))
    assert [(each["role"], each["seq"]) for each in messages] == [
        ("user", 1),
        ("assistant", 3),
        ("tool_result", 7),
        ("assistant", 9),
    ]


async def test_a_score_that_is_missing_is_not_zero(store: Store) -> None:
    await record(store, *WHOLE, scored(None))

    refresh(store)

    assert rows(store, select(schema.run.c.reward)) == [{"reward": None}]
    assert rows(store, select(projections.reward.c.score)) == [{"score": None}]


async def test_a_score_given_later_is_taken_in(store: Store) -> None:
    run_id = await record(store, *WHOLE)
    refresh(store)
    await record(store, scored(0.25), run_id=run_id, seq=len(WHOLE))

    refresh(store)

    assert rows(store, select(schema.run.c.reward)) == [{"reward": 0.25}]


async def test_a_run_under_way_is_left_alone_until_it_is_an_hour_old(store: Store) -> None:
    await record(store, started(), *step())
    assert refresh(store) == 0

    with store.writing() as connection:
        connection.execute(update(schema.run).values(started_at=int((time.time() - 3601) * 1e6)))

    assert refresh(store) == 1


async def test_a_run_that_goes_on_is_projected_again(store: Store) -> None:
    run_id = await record(store, *WHOLE)
    refresh(store)
    more = [RunResumed(), MessageAdded(text="And in May?"), *answer(3, "Four boats.")]
    await record(store, *more, run_id=run_id, seq=len(WHOLE))

    refresh(store)

    assert rows(store, select(schema.run.c.answer, schema.run.c.steps)) == [{"answer": "Four boats.", "steps": 3}]
    assert len(rows(store, select(projections.run_message))) == 6


async def test_equal_messages_share_a_hash_and_tools_are_stored_once(store: Store) -> None:
    for _ in range(3):
        await record(store, *WHOLE)

    refresh(store)

    assert len(rows(store, select(projections.run_message.c.hash).distinct())) == 4
    assert len(rows(store, select(projections.tool))) == len(rows(store, select(projections.artifact))) == 1


async def test_sequences_follow_exact_prefixes_and_only_sampled_tokens_are_trained(store: Store) -> None:
    first = exact(span("context", 1, 2), span("sampled", 3, logprobs=(-0.5,)), root=True)
    second = exact(span("context", 4), span("forced", 5), span("sampled", 6, 7, logprobs=(-0.1, -0.2)))
    third = exact(span("context", 8), span("sampled", 9, logprobs=(-0.3,)), root=True)
    events = [started(), *step(1, tokens=first), *step(2, tokens=second), *answer(3, tokens=third)]
    await record(store, *events)

    refresh(store)

    found = rows(store, text("SELECT root, step, kind, n, at, trained FROM v_sequence ORDER BY root, depth, ordinal"))
    assert [tuple(row.values()) for row in found] == [
        (1, 1, "context", 2, 0, 0),
        (1, 1, "sampled", 1, 14, 1),
        (1, 2, "context", 1, 0, 0),
        (1, 2, "forced", 1, 10, 0),
        (1, 2, "sampled", 2, 20, 1),
        (3, 3, "context", 1, 0, 0),
        (3, 3, "sampled", 1, 10, 1),
    ]
    assert len(rows(store, text("SELECT run_id FROM v_trainable"))) == 1


async def test_what_must_not_be_trained_on_is_not_trainable(store: Store) -> None:
    wrong = exact(span("context", 1), span("sampled", 2, logprobs=(0.5,)), root=True, kind="processed")
    await record(store, started(), *answer(1, tokens=wrong))

    refresh(store)

    [found] = rows(store, select(projections.finding.c.level, projections.finding.c.code, projections.finding.c.step))
    assert found == {"level": "fatal", "code": "positive_logprob", "step": 1}
    assert rows(store, text("SELECT run_id FROM v_trainable")) == []


async def test_approvals_are_kept_with_their_call(store: Store) -> None:
    events = [*step(effect="ask")]
    events.insert(4, ApprovalAnswered(call_id="c1", approved=True, by="user", arguments={"a": 2}))
    await record(store, started(), *events, *answer())

    refresh(store)

    columns = ("effect", "approved", "approved_by", "edited")
    [call] = rows(store, select(*(projections.tool_call.c[name] for name in columns)))
    assert call == {"effect": "ask", "approved": True, "approved_by": "user", "edited": True}


async def test_a_fork_has_only_its_own_rows_and_counts_on(store: Store) -> None:
    parent = await record(store, *WHOLE)
    await record(store, started(parent=parent, parent_seq=7), *answer(2, "Five boats."), run_id="fork")

    refresh(store)

    table = projections.run_message
    assert rows(store, select(table.c.ordinal, table.c.role).where(table.c.run_id == "fork")) == [
        {"ordinal": 3, "role": "assistant"}
    ]


async def test_everything_can_be_made_anew_from_the_events(store: Store) -> None:
    parent = await record(store, *WHOLE, scored(1.0))
    await record(store, started(parent=parent, parent_seq=7), *answer(2, "Five boats."), run_id="fork")
    await record(store, started("never ended"), *step(), run_id="open")
    refresh(store, everything=True)
    before = dump(store)
    with store.writing() as connection:
        connection.execute(schema.run.delete().where(schema.run.c.run_id == "fork"))
        connection.execute(schema.run.update().values(prompt="lies", answer="lies"))
        connection.execute(schema.run.insert().values(run_id="ghost", started_at=1, model="m", prompt="p"))

    assert rebuild(store) == 3

    assert dump(store) == before


async def test_text_no_database_takes_is_mended(store: Store) -> None:
    await record(store, started("nul \0 and half \ud800"), *answer(1, "nul \0 and half \ud800"))

    refresh(store)

    assert store.runs()[0].prompt == store.runs()[0].answer == "nul \ufffd and half \ufffd"


async def test_projections_of_an_earlier_version_are_made_anew(store: Store) -> None:
    await record(store, *WHOLE)
    refresh(store)
    with store.writing() as connection:
        projections.sample.drop(connection)

    assert refresh(store) == 1
