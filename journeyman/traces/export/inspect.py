"""Runs as a log of Inspect: a sample for each, with its transcript.

    journeyman traces export runs.eval --format inspect && inspect view --log-dir .

Written without Inspect; its own loader reads it. A model call names the messages it read by their place in the sample's
pool, so that the file does not grow with the square of a conversation. A score that is missing is NaN, which Inspect
leaves out of its means.

Lost on the way: token ids and probabilities, tool definitions, provider state, what a decision was traced to, what
was called inside a call (by a program, say), and model calls without a response.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO
from zipfile import ZIP_DEFLATED, ZipFile

from journeyman.traces import events as e
from journeyman.traces.export import Skip
from journeyman.traces.fold import State
from journeyman.traces.messages import AssistantMessage, Message, Part, ToolCall, Usage
from journeyman.traces.writer import Stored

FOR_TRAINING = False
SUFFIX = ".eval"
STOPPED = {"length": "max_tokens", "refusal": "content_filter", "cut": "unknown"}
ERRORS = {"denied": "approval", "refused": "approval", "timeout": "timeout"}
LISTED = ("id", "epoch", "input", "target", "scores", "model_usage", "started_at", "completed_at", "total_time", "uuid")


def lines(run: Sequence[Stored]) -> Iterator[str]:
    story = _Story()
    for each in run:
        story.tell(each)

    yield json.dumps(story.sample(run), ensure_ascii=False)


def pack(file: BinaryIO, lines: Iterable[str]) -> int:
    """The samples in an archive, with the header and the list that Inspect wants beside them."""
    listed: list[dict[str, Any]] = []
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for line in lines:
            sample = json.loads(line)
            archive.writestr(f"samples/{sample['id']}_epoch_1.json", line)
            failed = {"error": sample["error"]["message"]} if "error" in sample else {}
            count = {"message_count": len(sample["messages"]), "completed": sample["metadata"]["outcome"] is not None}
            listed.append({name: sample[name] for name in LISTED} | failed | count)

        archive.writestr("summaries.json", json.dumps(listed))
        archive.writestr("header.json", json.dumps(_header(listed)))

    return len(listed)


def _header(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    models = sorted({model for sample in samples for model in sample["model_usage"]})
    first = min((sample["started_at"] for sample in samples), default=now)
    last = max((sample["completed_at"] for sample in samples), default=now)
    ids = [sample["id"] for sample in samples]
    count = {"total_samples": len(ids), "completed_samples": len(ids)}
    verifiers = sorted({name for sample in samples for name in sample["scores"]})
    values = {name: [each["scores"][name]["value"] for each in samples if name in each["scores"]] for name in verifiers}
    scores = [_mean(name, known) for name, known in values.items()]
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "created": first,
            "task": "journeyman",
            "dataset": {"name": "runs", "samples": len(ids), "sample_ids": ids},
            "model": models[0] if len(models) == 1 else "several",
            "config": {"epochs": 1},
        },
        "results": {**count, "scores": scores},
        "stats": {"started_at": first, "completed_at": last},
    }


def _mean(name: str, values: Sequence[float]) -> dict[str, Any]:
    known = [value for value in values if not math.isnan(value)]
    mean = {"mean": {"name": "mean", "value": sum(known) / len(known)}} if known else {}
    counts = {"scored_samples": len(known), "unscored_samples": len(values) - len(known)}
    return {"name": name, "scorer": name, "metrics": mean, **counts}


class _Story:
    def __init__(self) -> None:
        self.state = State()
        self._events: list[dict[str, Any]] = []
        self._scores: dict[str, Any] = {}
        self._usage: dict[str, tuple[Usage, float]] = {}
        self._pool: list[dict[str, Any]] = []
        self._places: dict[int, tuple[int, Message]] = {}
        self._calls: dict[str, dict[str, Any]] = {}
        self._errors: dict[str, dict[str, str]] = {}
        self._model = ""
        self._asked = ""

    def tell(self, each: Stored) -> None:
        match each.event:
            case e.RunStarted() | e.RunResumed() as event:
                self._model = event.model or self._model
                self._info(each)
            case e.ModelRequested():
                self._asked = _time(each.at)
            case e.ModelResponded() as event:
                self._responded(each, event)
            case e.CallDecided() as event if event.effect != "ask":
                decision = "approve" if event.effect == "allow" else "reject"
                why = f"{event.reason} [{', '.join(event.rules)}]"
                self._approval(each, event.call_id, approver="policy", decision=decision, explanation=why)
            case e.ApprovalAnswered() as event:
                decision = "reject" if not event.approved else "approve" if event.arguments is None else "modify"
                told = {"approver": event.by, "decision": decision, "explanation": event.reason}
                self._approval(each, event.call_id, edited=event.arguments, **told)
            case e.CallFinished() as event:
                self._called(each, event)
            case e.SampleScored() as event:
                score = {
                    "value": math.nan if event.score is None else event.score,
                    "metadata": {"status": event.status},
                }
                said = {} if event.evidence is None else {"explanation": json.dumps(event.evidence)}
                self._scores[event.verifier] = score | said
                self._event(each, "score", scorer=event.verifier, score=score | said)
            case e.PlanUpdated() | e.BudgetWarned() | e.Compacted() | e.MessageAdded() | e.RunFinished():
                self._info(each)

        self.state.apply(each.event)

    def sample(self, run: Sequence[Stored]) -> dict[str, Any]:
        """The whole of it.

        Raises:
            Skip: the run has no beginning.
        """
        started, finished = self.state.started, self.state.finished
        if started is None:
            raise Skip("it has no beginning")

        places = self._read()
        outcome = {"outcome": finished.outcome if finished else None, "denied": finished.denied if finished else None}
        said = next((m for m in reversed(self.state.messages) if isinstance(m, AssistantMessage)), None)
        sample = {
            "id": run[-1].run_id,
            "uuid": run[-1].run_id,
            "epoch": 1,
            "input": started.prompt,
            "target": "",
            "messages": [self._pool[place] for place in places],
            "output": self._output(said, "stop") if said else {},
            "scores": self._scores,
            "metadata": {**outcome, "parent": started.parent, "policy": started.policy},
            "events": self._events,
            "events_data": {"messages": self._pool, "calls": []},
            "model_usage": {model: _usage(*used) for model, used in self._usage.items()},
            "started_at": _time(run[0].at),
            "completed_at": _time(run[-1].at),
            "total_time": finished.seconds if finished else None,
        }
        if finished and finished.outcome != "answered":
            message = (finished.error or {}).get("message", finished.outcome)
            sample["error"] = {"message": message, "traceback": "", "traceback_ansi": ""}

        return sample

    def _read(self) -> list[int]:
        """Places in the pool of what a model reads now."""
        started = self.state.started
        if not self._pool and started and started.instructions:
            self._pool.append({"id": "m0", "role": "system", "content": started.instructions})

        for message in self.state.messages:
            if id(message) not in self._places:
                self._places[id(message)] = len(self._pool), message
                self._pool.append({"id": f"m{len(self._pool)}", **self._message(message)})

        instructed = [0] if started and started.instructions else []
        return instructed + [self._places[id(message)][0] for message in self.state.messages]

    def _message(self, message: Message) -> dict[str, Any]:
        match message.type:
            case "user":
                return {"role": "user", "content": message.text}
            case "tool_result":
                failed = {"error": error} if (error := self._errors.get(message.call_id)) else {}
                called = {"tool_call_id": message.call_id, "function": message.name}
                return {"role": "tool", "content": message.text, **called, **failed}
            case "assistant":
                content = [_content(part) for part in message.parts if not isinstance(part, ToolCall)]
                calls = {"tool_calls": [_call(call) for call in message.calls]} if message.calls else {}
                return {"role": "assistant", "content": content, "source": "generate", "model": self._model, **calls}

    def _responded(self, each: Stored, event: e.ModelResponded) -> None:
        used, cost = self._usage.get(self._model, (Usage(), 0.0))
        self._usage[self._model] = used + event.usage, cost + (event.cost_usd or 0.0)
        self._calls |= {call.id: _call(call) for call in event.message.calls}
        calling = "tool_calls" if event.message.calls else "stop"
        output = self._output(event.message, STOPPED.get(event.finish, calling))
        output |= {"usage": _usage(event.usage, event.cost_usd), "time": event.seconds}
        known = {"model": self._model, "input": [], "input_refs": _ranges(self._read()), "tools": [], "config": {}}
        times = {"timestamp": self._asked or _time(each.at), "completed": _time(each.at)}
        self._event(each, "model", tool_choice="auto", output=output, working_time=event.seconds, **known, **times)

    def _output(self, message: AssistantMessage, reason: str) -> dict[str, Any]:
        choice = {"message": self._message(message), "stop_reason": reason}
        return {"model": self._model, "choices": [choice], "completion": message.text}

    def _called(self, each: Stored, event: e.CallFinished) -> None:
        result = event.result
        call = self._calls.get(result.call_id, {"id": result.call_id, "function": result.name, "arguments": {}})
        failed = {}
        if result.is_error or event.status not in {"ok", "repeated"}:
            failed = {"error": {"type": ERRORS.get(event.status, "unknown"), "message": result.text}}
            self._errors[result.call_id] = failed["error"]

        began = {"timestamp": _time(each.at - int(event.seconds * 1e6)), "completed": _time(each.at)}
        kept = {key: call[key] for key in ("id", "function", "arguments")}
        said = {"result": result.text, "working_time": event.seconds, "metadata": {"status": event.status}}
        self._event(each, "tool", **kept, **began, **said, **failed)

    def _approval(self, each: Stored, call_id: str, **what: Any) -> None:
        if call := self._calls.get(call_id):
            edited = what.pop("edited", None)
            modified = {} if edited is None else {"modified": call | {"arguments": edited}}
            self._event(each, "approval", message="", call=call, **what, **modified)

    def _info(self, each: Stored) -> None:
        data = each.event.model_dump(mode="json", exclude={"tools"}, exclude_defaults=True)
        self._event(each, "info", source="journeyman", data={"type": each.event.type, **data})

    def _event(self, each: Stored, kind: str, **what: Any) -> None:
        self._events.append({"event": kind, "timestamp": _time(each.at), "working_start": 0.0, **what})


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1e6, UTC).isoformat()


def _ranges(places: Sequence[int]) -> list[list[int]]:
    """`[0, 3, 4]` as `[[0, 1], [3, 5]]`."""
    ranges: list[list[int]] = []
    for place in places:
        if ranges and ranges[-1][1] == place:
            ranges[-1][1] += 1
        else:
            ranges.append([place, place + 1])

    return ranges


def _usage(usage: Usage, cost: float | None) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens - usage.cached_tokens,
        "input_tokens_cache_read": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "total_tokens": usage.total_tokens,
        "total_cost": cost,
    }


def _content(part: Part) -> dict[str, Any]:
    if part.type == "thinking":
        hidden = {"reasoning": "", "redacted": True, "summary": part.text or None}
        return {"type": "reasoning", **(hidden if part.hidden else {"reasoning": part.text})}

    return part.model_dump()


def _call(call: ToolCall) -> dict[str, Any]:
    wrong = {"parse_error": f"no JSON object: {call.arguments}"} if call.parsed is None else {}
    return {"id": call.id, "function": call.name, "arguments": call.parsed or {}, **wrong}
