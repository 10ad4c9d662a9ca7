"""Runs as OpenTelemetry spans, by the semantic conventions for generative AI (0.66): what Phoenix and its like show.

    invoke_agent journeyman     the run; each time it was taken up again is a child of the first
      chat MODEL                a model call, with what was read and written
      execute_tool TOOL         a tool call from proposal to result, a denied one too: an error that names the rules
      evaluate VERIFIER         a score, where there is one

A run is a trace and ids are made from its own, so sending it twice says the same. A fork is a trace of its own, linked
to the run it was forked from. Written to a file, a line is one run in OTLP's JSON.

Lost on the way: token ids and their probabilities, provider state and signatures, what was called inside a call (by a
program, say). A model call carries the newest
messages only, up to `WINDOW` characters; the calls before it have the others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from journeyman.traces import events as e
from journeyman.traces.export import Skip, genai
from journeyman.traces.export.otlp import as_json, attributes
from journeyman.traces.fold import State
from journeyman.traces.messages import Message, ToolSpec
from journeyman.traces.span import span_id, trace_id
from journeyman.traces.writer import Stored

FOR_TRAINING = False
WINDOW = 64_000
BAD = {"cut": "stopped in the middle", "refusal": "refused", "error": "failed", "timeout": "took too long"}


def lines(run: Sequence[Stored]) -> Iterator[str]:
    yield as_json(spans(run))


def spans(run: Sequence[Stored]) -> list[Span]:
    """The spans of one run, in the order they ended; what a fork shares with its parent is the parent's.

    Raises:
        Skip: it has no beginning.
    """
    story = _Story(run[-1].run_id if run else "")
    for each in run:
        if each.run_id == story.run_id:
            story.tell(each)

        story.state.apply(each.event)

    if not story.first:
        raise Skip("it has no beginning")

    story.end(run[-1])
    return story.spans


@dataclass(slots=True)
class _Open:
    """A span that has not ended yet."""

    name: str
    part: str
    parent: str
    start: int
    about: dict[str, Any]
    events: list[Span.Event] = field(default_factory=list)


class _Story:
    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.state = State()
        self.spans: list[Span] = []
        self.first = ""
        self._run: _Open | None = None
        self._chat: _Open | None = None
        self._calls: dict[str, _Open] = {}
        self._model: dict[str, Any] = {}
        self._tools: Mapping[str, ToolSpec] = {}
        self._said: dict[int, tuple[Message, str]] = {}

    def tell(self, each: Stored) -> None:
        match each.event:
            case e.RunStarted() | e.RunResumed() as event:
                self.end(each)
                self._taken_up(each, event)
            case e.ModelRequested() as event:
                self._asked(each, event)
            case e.ModelResponded() as event:
                self._answered(each, event)
            case e.CallProposed() as event:
                self._proposed(each, event)
            case e.CallDecided() as event if call := self._calls.get(event.call_id):
                decided = event.model_dump(mode="json", exclude={"type", "call_id"}, exclude_defaults=True)
                call.about |= {f"journeyman.policy.{key}": value for key, value in decided.items()}
            case e.ApprovalRequested() | e.ApprovalAnswered() | e.CallStarted() as event:
                self._happened(each, self._calls.get(event.call_id))
            case e.CallFinished() as event:
                self._called(each, event)
            case e.SampleScored() as event:
                self._scored(each, event)
            case e.RunFinished() as event:
                self._finished(each, event)
            case _:
                self._happened(each, self._run)

    def end(self, each: Stored, bad: str | None = None, error: str | None = None) -> None:
        """Close what has no end of its own: the process ended, or still works."""
        for call in self._calls.values():
            call.part += f"@{each.seq}"  # it may be made again, under its own name
            self._close(call, each, "no result was recorded")

        self._calls.clear()
        if self._chat:
            self._close(self._chat, each, "no response was recorded")
            self._chat = None

        if self._run:
            self._close(self._run, each, bad, error)
            self._run = None

    def _taken_up(self, each: Stored, event: e.RunStarted | e.RunResumed) -> None:
        self._model = genai.about(event.model or "")
        self._tools = {tool.name: tool for tool in event.tools} or self._tools
        self._run = self._open(each, "invoke_agent", "journeyman", f"run@{each.seq}", self.first)
        self.first = self.first or self._run.part
        self._run.about |= self._model | {
            "gen_ai.agent.name": "journeyman",
            "gen_ai.tool.definitions": genai.definitions(self._tools.values()),
            "journeyman.model_info": event.model_info or None,
            "journeyman.policy": event.policy or None,
            "journeyman.limits": event.limits or None,
        }
        if isinstance(event, e.RunResumed):
            self._run.about["journeyman.unfinished"] = event.unfinished or None
            return

        self._run.about |= {
            "gen_ai.system_instructions": genai.system(event.instructions),
            "gen_ai.input.messages": genai.prompt(event.prompt),
            "journeyman.root": event.root or None,
            "journeyman.parent": event.parent,
            "journeyman.parent_seq": event.parent_seq,
        }

    def _asked(self, each: Stored, event: e.ModelRequested) -> None:
        self._chat = self._open(each, "chat", self._model.get("gen_ai.request.model", ""), f"chat@{each.seq}")
        offered = self._tools if event.offered is None else event.offered
        tools = [self._tools[name] for name in offered if name in self._tools]
        started = self.state.started
        read, left_out = self._newest()
        self._chat.about |= {
            **self._model,
            **genai.sampling(event.sampling),
            "gen_ai.system_instructions": genai.system(started.instructions) if started else None,
            "gen_ai.input.messages": read,
            "gen_ai.tool.definitions": genai.definitions(tools),
            "journeyman.input.left_out": left_out or None,
            "journeyman.step": event.step,
            "journeyman.choice": event.choice,
        }

    def _newest(self) -> tuple[str, int]:
        """The conversation, and how many of its first messages there is no room for."""
        kept: list[str] = []
        room = WINDOW
        for message in reversed(self.state.messages):
            if id(message) not in self._said:
                self._said[id(message)] = message, genai.text(genai.message(message))

            _, said = self._said[id(message)]
            room -= len(said)
            if kept and room < 0:
                break

            kept.append(said)

        return f"[{', '.join(reversed(kept))}]", len(self.state.messages) - len(kept)

    def _answered(self, each: Stored, event: e.ModelResponded) -> None:
        if (chat := self._chat) is None:
            return

        self._chat = None
        reason = "tool_call" if event.message.calls and event.finish == "stop" else event.finish
        chat.about |= {
            "gen_ai.output.messages": genai.text([{**genai.message(event.message), "finish_reason": reason}]),
            "gen_ai.response.finish_reasons": (reason,),
            "gen_ai.usage.input_tokens": event.usage.prompt_tokens,
            "gen_ai.usage.output_tokens": event.usage.completion_tokens,
            "gen_ai.usage.cache_read.input_tokens": event.usage.cached_tokens or None,
            "gen_ai.usage.reasoning.output_tokens": event.usage.reasoning_tokens or None,
            "journeyman.cost_usd": event.cost_usd,
        }
        self._close(chat, each, BAD.get(event.finish), event.finish)

    def _proposed(self, each: Stored, event: e.CallProposed) -> None:
        call = self._calls[event.call_id] = self._open(each, "execute_tool", event.tool, event.call_id)
        spec = next((tool for tool in self._tools.values() if tool.identity == event.tool), None)
        written = (call.arguments for call in self.state.pending if call.id == event.call_id)
        call.about |= {
            "gen_ai.tool.name": event.tool,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": event.call_id,
            "gen_ai.tool.description": (spec.description or None) if spec else None,
            "gen_ai.tool.call.arguments": next(written, None) if event.arguments is None else event.arguments,
            "mcp.method.name": "tools/call" if spec and spec.server != "python" else None,
            "journeyman.problem": event.problem,
        }

    def _called(self, each: Stored, event: e.CallFinished) -> None:
        result = event.result
        call = self._calls.pop(result.call_id, None)
        if call is None:  # what an earlier process left open
            name = self._tools[result.name].identity if result.name in self._tools else result.name
            call = self._open(each, "execute_tool", name, result.call_id)
            call.about |= {"gen_ai.tool.name": name, "gen_ai.tool.call.id": result.call_id}

        call.about |= {
            "gen_ai.tool.call.result": result.text,
            "journeyman.call.status": event.status,
            "journeyman.call.seconds": event.seconds,
        }
        bad = result.text if result.is_error or event.status not in {"ok", "repeated"} else None
        if bad and event.status == "denied" and (rules := call.about.get("journeyman.policy.rules")):
            bad = f"denied by policy {', '.join(rules)}: {bad.removeprefix('denied: ')}"

        self._close(call, each, bad, event.status)

    def _scored(self, each: Stored, event: e.SampleScored) -> None:
        score = self._open(each, "evaluate", event.verifier, f"score@{each.seq}", self.first)
        score.about |= {
            "openinference.span.kind": "EVALUATOR",
            "gen_ai.evaluation.name": event.verifier,
            "gen_ai.evaluation.score.value": event.score,
            "gen_ai.evaluation.score.label": event.status if event.score is None else None,
            "gen_ai.evaluation.explanation": event.evidence,
        }
        told = attributes({key: value for key, value in score.about.items() if key.startswith("gen_ai.evaluation.")})
        score.events.append(Span.Event(name="gen_ai.evaluation.result", time_unix_nano=each.at * 1000, attributes=told))
        self._close(score, each, BAD.get(event.status), event.status)

    def _finished(self, each: Stored, event: e.RunFinished) -> None:
        if self._run:
            self._run.about |= {
                "gen_ai.output.messages": genai.answer(event.answer),
                "journeyman.outcome": event.outcome,
                "journeyman.steps": event.steps,
                "journeyman.denied": event.denied,
            }

        error = event.error or {}
        bad = None if event.outcome == "answered" else error.get("message", event.outcome)
        self.end(each, bad, error.get("kind", event.outcome))

    def _happened(self, each: Stored, span: _Open | None) -> None:
        if span is None:
            return

        event = each.event
        said = attributes(event.model_dump(mode="json", exclude={"type", "call_id"}, exclude_defaults=True))
        name = f"journeyman.{event.type}"
        span.events.append(Span.Event(name=name, time_unix_nano=each.at * 1000, attributes=said))
        if isinstance(event, e.ApprovalAnswered) and event.arguments is not None:
            span.about["gen_ai.tool.call.arguments"] = event.arguments
        elif isinstance(event, e.MessageAdded) and event.origin == "user":
            span.about["gen_ai.input.messages"] = genai.prompt(event.text)

    def _open(self, each: Stored, operation: str, what: str, part: str, parent: str | None = None) -> _Open:
        if parent is None:
            parent = self._run.part if self._run else self.first

        about = {"gen_ai.operation.name": operation, "gen_ai.conversation.id": self.run_id}
        return _Open(f"{operation} {what}".strip(), part, parent, each.at, about)

    def _close(self, span: _Open, each: Stored, bad: str | None = None, error: str | None = None) -> None:
        parent = span.about.get("journeyman.parent")
        links = [Span.Link(trace_id=trace_id(parent), span_id=span_id(parent, "run@1"))] if parent else []
        status = Status(code=Status.STATUS_CODE_OK) if "journeyman.outcome" in span.about else Status()
        if bad is not None:
            status = Status(code=Status.STATUS_CODE_ERROR, message=bad[:1000])
            span.about["error.type"] = error

        self.spans.append(
            Span(
                trace_id=trace_id(self.run_id),
                span_id=span_id(self.run_id, span.part),
                parent_span_id=span_id(self.run_id, span.parent) if span.parent else b"",
                name=span.name,
                kind=Span.SPAN_KIND_CLIENT if span.name.startswith("chat") else Span.SPAN_KIND_INTERNAL,
                start_time_unix_nano=span.start * 1000,
                end_time_unix_nano=max(span.start, each.at) * 1000,
                attributes=attributes(span.about),
                events=span.events,
                links=links,
                status=status,
            )
        )
