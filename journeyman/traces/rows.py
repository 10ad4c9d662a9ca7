"""One run's events as rows of the projections: a fold, which knows no database."""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Table

from journeyman.traces import projections
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
from journeyman.traces.writer import Stored

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


class RunRows:
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
