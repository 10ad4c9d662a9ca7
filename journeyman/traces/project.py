"""From events to projections: on demand, for every run that has ended since the last time.

A run's rows are computed outside of any lock, then written if nothing was added to the run meanwhile. A run that never
ended (its process was killed) is projected too once it is an hour old.
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, or_, select, text, update

from journeyman.errors import DamagedRun
from journeyman.traces import projections, words
from journeyman.traces.codec import content_hash, sound
from journeyman.traces.events import (
    ApprovalAnswered,
    CallDecided,
    CallFinished,
    CallProposed,
    CandidateTried,
    MessageAdded,
    ModelRequested,
    ModelResponded,
    RunFinished,
    RunStarted,
    SampleScored,
)
from journeyman.traces.findings import STEERED, TYPED, of_call
from journeyman.traces.fold import Steering
from journeyman.traces.listed import SECRET, beginning, end, worth
from journeyman.traces.messages import Message, UserMessage
from journeyman.traces.migrations import OURS
from journeyman.traces.schema import event as event_table
from journeyman.traces.schema import run as run_table
from journeyman.traces.store import Store
from journeyman.traces.writer import Stored

BATCH = 50
ABANDONED = 3600
"""Seconds after which a run without an end is taken as it is."""


def refresh(store: Store, *, everything: bool = False) -> int:
    """Bring the projections up to date; how many runs that took. `everything`: runs without an end too, now."""
    prepare(store)
    done = 0
    skip: set[str] = set()
    while run_ids := _stale(store, skip, everything=everything):
        projected = list(_readable(store, run_ids))
        with store.writing() as connection:
            written = _write(connection, projected)

        skip |= set(run_ids) - written  # still going on: the next time
        done += len(written)

    return done


def _readable(store: Store, run_ids: Sequence[str]) -> Iterator["Projection"]:
    """Their projections, but of those whose record is broken: `verify` tells of them, and the others can be found."""
    table = event_table
    query = select(table).where(table.c.run_id.in_(run_ids)).order_by(table.c.run_id, table.c.seq)
    with store.reading() as connection:
        for run_id, rows in groupby(connection.execute(query).all(), lambda row: row.run_id):
            with suppress(DamagedRun):
                own = [each for row in rows for each in store.stored(connection, row)]
                forked = own[0].event.type == "run_started" and own[0].event.parent_seq is not None
                yield Projection(run_id, list(store.events(run_id)) if forked else own)


def prepare(store: Store) -> None:
    """Make the projections where they are not there yet, or are an earlier version's."""
    with store.reading() as connection:
        if projections.exist(connection):
            return

    with store.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({OURS})")

        if not projections.exist(connection):
            _anew(connection)


def _anew(connection: Connection) -> None:
    projections.drop(connection)
    projections.create(connection)
    connection.execute(update(run_table).values(projected=0))


def rebuild(store: Store) -> int:
    """Drop every projection and make all of them anew from the events; how many runs there are."""
    with store.writing() as connection:
        _anew(connection)
        known = select(run_table.c.run_id)
        began = select(event_table.c.run_id, func.min(event_table.c.at), text("''"), text("''"), text("0"), text("0"))
        missing = began.where(event_table.c.run_id.not_in(known)).group_by(event_table.c.run_id)
        names = ["run_id", "started_at", "model", "prompt", "steps", "prompt_tokens"]
        rest = ["completion_tokens", "denied", "projected"]
        missing = missing.add_columns(*(text("0") for _ in rest))
        connection.execute(insert(run_table).from_select([*names, *rest], missing, include_defaults=False))
        gone = run_table.c.run_id.not_in(select(event_table.c.run_id))
        connection.execute(delete(run_table).where(gone))

    return refresh(store, everything=True)


def _stale(store: Store, skip: set[str], *, everything: bool) -> Sequence[str]:
    condition = run_table.c.projected == 0
    if not everything:
        long_ago = int((time.time() - ABANDONED) * 1e6)
        condition &= or_(run_table.c.ended_at.is_not(None), run_table.c.started_at < long_ago)

    query = select(run_table.c.run_id).where(condition).order_by(run_table.c.started_at)
    with store.reading() as connection:
        found = connection.scalars(query.limit(BATCH + len(skip))).all()

    return [run_id for run_id in found if run_id not in skip][:BATCH]


def _write(connection: Connection, projected: Sequence["Projection"]) -> set[str]:
    """The runs that were written: those that have not gone on meanwhile."""
    ids = [each.run_id for each in projected]
    connection.execute(select(run_table.c.run_id).where(run_table.c.run_id.in_(ids)).with_for_update())
    count = select(event_table.c.run_id, func.max(event_table.c.seq)).where(event_table.c.run_id.in_(ids))
    last = dict(connection.execute(count.group_by(event_table.c.run_id)).all())
    fresh = [each for each in projected if each.last == last.get(each.run_id)]
    ids = [each.run_id for each in fresh]
    for table in projections.OF_A_RUN:
        connection.execute(delete(table).where(table.c.run_id.in_(ids)))

    rows: dict[Table, list[dict[str, Any]]] = defaultdict(list)
    for each in fresh:
        for table, added in each.rows.items():
            rows[table] += added

    for table, added in rows.items():
        _insert(connection, table, added)

    if fresh:
        names = {name: bindparam(f"new_{name}") for name in fresh[0].run}
        statement = update(run_table).where(run_table.c.run_id == bindparam("id")).values(names)
        connection.execute(
            statement, [{f"new_{k}": v for k, v in each.run.items()} | {"id": each.run_id} for each in fresh]
        )

    document = projections.document
    indexed = select(document.c.run_id, func.max(document.c.seq)).where(document.c.run_id.in_(ids))
    until = dict(connection.execute(indexed.group_by(document.c.run_id)).all())
    words.add(connection, [each for one in fresh for each in one.own if each.seq > until.get(one.run_id, 0)])
    return set(ids)


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if table in {projections.tool, projections.artifact}:
        rows = list({row["hash"]: row for row in rows}.values())
        known = select(table.c.hash).where(table.c.hash.in_([row["hash"] for row in rows]))
        there = set(connection.scalars(known))
        rows = [row for row in rows if row["hash"] not in there]

    if rows:
        connection.execute(insert(table), rows)


class Projection:
    """The rows of one run."""

    def __init__(self, run_id: str, stored: Iterable[Stored]) -> None:
        self.run_id = run_id
        self.rows: dict[Table, list[dict[str, Any]]] = defaultdict(list)
        self.own: list[Stored] = []
        self.run: dict[str, Any] = {}
        self._messages = 0
        self._calls: dict[str, dict[str, Any]] = {}
        self._step = 0
        self._with_tokens: int | None = None
        self._sampling: dict[str, Any] = {}
        self._cost: float | None = None
        self._levels: set[str] = set()
        self._secret = False
        self._steering = Steering()
        self._scores: dict[str, float | None] = {}
        for each in stored:
            self._add(each, own=each.run_id == run_id)

        self._conclude()

    @property
    def last(self) -> int:
        return self.own[-1].seq if self.own else 0

    def _add(self, each: Stored, *, own: bool) -> None:
        self._secret = self._secret or getattr(each.event, "secret", False)
        self._steering.apply(each.event)
        if not own:  # a fork's parent: only what later rows count on from
            self._messages += each.event.type in {"run_started", "message_added", "model_responded", "call_finished"}
            return

        self.own.append(each)
        match each.event:
            case RunStarted() as event:
                self._started(event, each.at)
            case MessageAdded() as event:
                self.run |= {"ended_at": None, "outcome": None}
                self._message(UserMessage(text=event.text), each.seq)
            case ModelRequested() as event:
                self._sampling = event.sampling
            case ModelResponded() as event:
                self._responded(event, each.seq)
            case CallProposed() | CallDecided() | ApprovalAnswered() | CallFinished() as event:
                self._call(event, each.seq)
            case CandidateTried(cost_usd=float() as cost):
                self._cost = (self._cost or 0.0) + cost
            case SampleScored() as event:
                names = ("verifier", "name", "score", "status")
                self._put(projections.reward, {"seq": each.seq, **{name: getattr(event, name) for name in names}})
                self._scores[event.name or event.verifier] = event.score
            case RunFinished() as event:
                self.run |= {"ended_at": each.at, **end(event)}

    def _put(self, table: Table, row: dict[str, Any]) -> None:
        self.rows[table].append({"run_id": self.run_id, **row})

    def _started(self, event: RunStarted, at: int) -> None:
        self.run = {"started_at": at, "ended_at": None, "outcome": None, "answer": None, **beginning(event)}
        self.run |= dict.fromkeys(("steps", "prompt_tokens", "completion_tokens", "denied"), 0) | {"seconds": None}
        if event.parent_seq is None:
            self._message(UserMessage(text=event.prompt), 1)

        if event.sample is not None:
            row = {"kind": event.sample.kind, "split": event.sample.split, "source": event.sample.source}
            self._put(projections.sample, {name: sound(value) for name, value in row.items()})

        for position, spec in enumerate(event.tools):
            definition = sound(spec.model_dump_json())
            key = content_hash(definition.encode()).hex()
            self._put(projections.run_tool, {"position": position, "hash": key})
            row = {"hash": key, "server": spec.server, "name": spec.tool, "definition": definition}
            self.rows[projections.tool].append(row)

        info = sound(json.dumps(event.model_info, sort_keys=True))
        key = content_hash(f"{event.model}\n{info}".encode(errors="replace")).hex()
        self.rows[projections.artifact].append({"hash": key, "spec": sound(event.model), "info": info})
        self._put(projections.run_artifact, {"hash": key})

    def _message(self, message: Message, seq: int) -> None:
        key = content_hash(message.model_dump_json(exclude={"call_id"}).encode(errors="replace")).hex()[:32]
        self._put(projections.run_message, {"ordinal": self._messages, "role": message.type, "hash": key, "seq": seq})
        self._messages += 1

    def _responded(self, event: ModelResponded, seq: int) -> None:
        self._step = event.step
        self._message(event.message, seq)
        if event.cost_usd is not None:
            self._cost = (self._cost or 0.0) + event.cost_usd

        tokens = event.tokens
        level = tokens.level if tokens else None
        self._levels.add(level or "")
        row = {
            "step": event.step,
            "seq": seq,
            "extends": None if tokens is None or tokens.root else self._with_tokens,
            "finish": event.finish,
            "level": level,
            "logprob_kind": tokens.logprob_kind if tokens else None,
            "sampling": json.dumps(self._sampling),
            "cost_usd": event.cost_usd,
            "seconds": event.seconds,
            **event.usage.model_dump(),
        }
        self._put(projections.model_call, row)
        for finding in of_call(event, self._sampling, first=self._with_tokens is None):
            ordinal = len(self.rows[projections.finding])
            self._put(projections.finding, {"ordinal": ordinal, **finding.model_dump()})

        at = 0
        for ordinal, span in enumerate(tokens.spans if tokens else ()):
            has_logprobs = span.logprobs is not None
            place = {"step": event.step, "ordinal": ordinal, "kind": span.kind, "n": len(span.ids), "at": at}
            self._put(projections.token_span, {**place, "has_logprobs": has_logprobs})
            at += SPAN_HEAD + 4 * len(span.ids) * (2 if has_logprobs else 1)

        if level == "tokens":
            self._with_tokens = event.step

    def _call(self, event: CallProposed | CallDecided | ApprovalAnswered | CallFinished, seq: int) -> None:
        call_id = event.result.call_id if isinstance(event, CallFinished) else event.call_id
        row = self._calls.setdefault(call_id, _CALL | {"call_id": sound(call_id), "step": self._step, "seq": seq})
        match event:
            case CallProposed():
                row["tool"] = sound(event.tool)
            case CallDecided():
                row |= {"effect": event.effect, "rules": json.dumps(event.rules), "reason": sound(event.reason)}
            case ApprovalAnswered():
                row |= {"approved": event.approved, "approved_by": event.by, "edited": event.arguments is not None}
            case CallFinished():
                row |= {"tool": row["tool"] or sound(event.result.name), "status": event.status}
                row["seconds"] = event.seconds
                self._message(event.result, seq)

    def _conclude(self) -> None:
        for row in self._calls.values():
            self._put(projections.tool_call, row)

        for finding, found in ((TYPED, self._secret), (STEERED, self._steering.found)):
            if found:
                row = {"ordinal": len(self.rows[projections.finding]), **finding.model_dump()}
                self._put(projections.finding, row)

        self.run |= {
            "projected": max(self.last, 1),
            "reward": worth(self._scores),
            "cost_usd": self._cost,
            "calls": len(self._calls),
            "errors": sum(row["status"] not in {"ok", "repeated"} for row in self._calls.values()),
            "level": SECRET
            if self._secret
            else "tokens"
            if self._levels == {"tokens"}
            else "text"
            if self._levels
            else None,
        }


SPAN_HEAD = 6
"""Bytes before a span's ids; see `codec.pack_spans`."""
_CALL: dict[str, Any] = {
    "tool": "",
    "effect": None,
    "rules": "[]",
    "reason": "",
    "approved": None,
    "approved_by": None,
    "edited": False,
    "status": None,
    "seconds": None,
}
