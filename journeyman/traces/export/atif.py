"""Runs as trajectories in the Agent Trajectory Interchange Format (ATIF 1.8), a run a line.

One step for what the user said, one for each model call with the results of its calls. What a fork shares with its
parent is marked as copied context.

Lost on the way: plans, budgets, the times of single calls, what was called inside a call (by a program, say), provider
state. What the format has no place of its own for is in `extra`: which tokens were forced, scores, decisions, outcomes,
hidden thoughts and arguments that are no JSON object (`written`).
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from journeyman.traces import events as e
from journeyman.traces.export import Skip
from journeyman.traces.export.messages import tool
from journeyman.traces.fold import State
from journeyman.traces.messages import Tokens, ToolCall
from journeyman.traces.writer import Stored

VERSION = version("journeyman")  # a file is read for it


def lines(run: Sequence[Stored]) -> Iterator[str]:
    story = _Story(run[-1].run_id if run else "")
    for each in run:
        story.tell(each)
        story.state.apply(each.event)

    yield json.dumps(story.whole(), ensure_ascii=False)


class _Story:
    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.state = State()
        self.steps: list[dict[str, Any]] = []
        self.scores: list[dict[str, Any]] = []
        self._model = ""
        self._read: list[int] = []
        self._calls: dict[str, dict[str, Any]] = {}
        self._results: dict[str, list[dict[str, Any]]] = {}

    def tell(self, each: Stored) -> None:  # noqa: C901 - a line or two for each kind of event
        match each.event:
            case e.RunStarted() as event:
                self._model = event.model
                if event.parent_seq is None:
                    self._started(each, event)
            case e.RunResumed() as event:
                self._model = event.model or self._model
            case e.MessageAdded() as event:
                self._step(each, "user", event.text, extra=None if event.origin == "user" else {"origin": "runtime"})
            case e.Compacted() as event:
                self._step(each, "user", event.summary, extra={"origin": "compaction", "kept": event.kept})
            case e.ModelResponded() as event:
                self._responded(each, event)
            case e.CallProposed() as event if event.problem:
                self._note(event.call_id, problem=event.problem)
            case e.CallDecided() as event:
                self._note(event.call_id, effect=event.effect, rules=list(event.rules), reason=event.reason)
            case e.ApprovalAnswered() as event:
                self._note(event.call_id, approved=event.approved, by=event.by, effective_arguments=event.arguments)
            case e.CallFinished() as event if event.result.call_id in self._results:
                result = {"source_call_id": event.result.call_id, "content": event.result.text}
                extra = {"status": event.status, "seconds": event.seconds}
                self._results[event.result.call_id].append({**result, "extra": extra})
            case e.SampleScored() as event:
                kept = {"verifier", "score", "status", "evidence"}
                self.scores.append(event.model_dump(mode="json", include=kept))

    def whole(self) -> dict[str, Any]:
        """The trajectory.

        Raises:
            Skip: the run has no beginning.
        """
        started, finished, usage = self.state.started, self.state.finished, self.state.usage
        if started is None:
            raise Skip("it has no beginning")

        error = finished.error if finished else None
        outcome = {"outcome": finished.outcome if finished else None, "error": error, "scores": self.scores}
        costs = [step["metrics"].get("cost_usd") for step in self.steps if "metrics" in step]
        metrics = {
            "total_prompt_tokens": usage.prompt_tokens,
            "total_completion_tokens": usage.completion_tokens,
            "total_cached_tokens": usage.cached_tokens,
            "total_cost_usd": None if None in costs else sum(costs),
            "total_steps": len(self.steps),
        }
        agent = {
            "name": "journeyman",
            "version": VERSION,
            "model_name": started.model,
            "tool_definitions": [tool(spec) for spec in started.tools],
            "extra": {"policy": started.policy, "model_info": started.model_info, "limits": started.limits},
        }
        return {
            "schema_version": "ATIF-v1.8",
            "session_id": self.run_id,
            "trajectory_id": self.run_id,
            "agent": agent,
            "steps": self.steps,
            "final_metrics": _known(metrics),
            "extra": {**outcome, **_known({"parent": started.parent, "parent_seq": started.parent_seq})},
        }

    def _started(self, each: Stored, event: e.RunStarted) -> None:
        if event.instructions:
            self._step(each, "system", event.instructions)

        self._step(each, "user", event.prompt)

    def _step(self, each: Stored, source: str, message: str, **more: Any) -> None:
        at = datetime.fromtimestamp(each.at / 1e6, UTC).isoformat()
        step = {"step_id": len(self.steps) + 1, "timestamp": at, "source": source, "message": message, **_known(more)}
        if each.run_id != self.run_id:
            step["is_copied_context"] = True

        self.steps.append(step)

    def _responded(self, each: Stored, event: e.ModelResponded) -> None:
        parts = event.message.parts
        hidden = [part.text for part in parts if part.type == "thinking" and part.hidden]
        shown = [part.text for part in parts if part.type == "thinking" and not part.hidden]
        calls = [self._called(call) for call in event.message.calls]
        results: list[dict[str, Any]] = []
        self._results |= {call.id: results for call in event.message.calls}
        self._step(
            each,
            "agent",
            event.message.text,
            model_name=self._model,
            reasoning_content="".join(shown) or None,
            tool_calls=calls or None,
            observation={"results": results} if calls else None,
            metrics=self._metrics(event),
            llm_call_count=1,
            extra=_known({"finish": event.finish, "hidden_reasoning": hidden or None}),
        )

    def _called(self, call: ToolCall) -> dict[str, Any]:
        extra = self._calls[call.id] = {} if call.parsed is not None else {"written": call.arguments}
        arguments = call.parsed or {}
        return {"tool_call_id": call.id, "function_name": call.name, "arguments": arguments, "extra": extra}

    def _note(self, call_id: str, **what: Any) -> None:
        self._calls.get(call_id, {}).update(_known(what))

    def _metrics(self, event: e.ModelResponded) -> dict[str, Any]:
        usage = event.usage
        known: dict[str, Any] = {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "cached_tokens": usage.cached_tokens,
            "cost_usd": event.cost_usd,
            "extra": {"reasoning_tokens": usage.reasoning_tokens, "seconds": event.seconds},
        }
        if event.tokens and event.tokens.level == "tokens":
            known |= self._tokens(event.tokens)
            written = [span for span in event.tokens.spans if span.kind != "context"]
            sampled = [span.kind == "sampled" for span in written for _ in span.ids]
            known["extra"] |= {"sampled": sampled, "logprob_kind": event.tokens.logprob_kind}
            logprobs = [value for span in written for value in span.logprobs or [None] * len(span.ids)]
            known |= {} if None in logprobs else {"logprobs": logprobs}
            if None in logprobs and any(value is not None for value in logprobs):
                known["extra"]["logprobs"] = logprobs  # the format's own has a number for each token

        return _known(known)

    def _tokens(self, tokens: Tokens) -> dict[str, Any]:
        """Ids of what was read and of what was written then."""
        before = [] if tokens.root else self._read
        prompt = before + [i for span in tokens.spans if span.kind == "context" for i in span.ids]
        written = [span for span in tokens.spans if span.kind != "context"]
        completion = [i for span in written for i in span.ids]
        self._read = prompt + completion
        return {"prompt_token_ids": prompt, "completion_token_ids": completion}


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
