"""A group of practice: two attempts worth comparing, with forced tokens, odd arguments and a sequence begun anew."""

import struct

from journeyman.traces.events import (
    CallFinished,
    Compacted,
    ModelRequested,
    ModelResponded,
    RunFinished,
    RunStarted,
    Sample,
    SampleScored,
    StoredEvent,
)
from journeyman.traces.messages import (
    AssistantMessage,
    Text,
    Thinking,
    Tokens,
    TokenSpan,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
)
from journeyman.traces.writer import Stored

CALC = ToolSpec(
    name="calc",
    server="python",
    tool="calc",
    description="Calculate.",
    parameters={"type": "object", "properties": {"expression": {"type": "string"}}},
)
AT = 1_795_000_000_000_000
"""Microseconds since 1970."""


def f32(value: float) -> float:
    """As a store keeps it."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def span(kind: str, *ids: int) -> TokenSpan:
    logprobs = tuple(f32(-id_ / 14) for id_ in ids) if kind == "sampled" else None
    return TokenSpan.model_validate({"kind": kind, "ids": ids, "logprobs": logprobs})


def tokens(*spans: TokenSpan, root: bool = False) -> Tokens:
    return Tokens(level="tokens", logprob_kind="processed", root=root, spans=spans)


def asked(step: int) -> ModelRequested:
    return ModelRequested(step=step, sampling={"temperature": 1.0, "logprobs": True})


def called(step: int, arguments: str, record: Tokens, thought: str = "") -> tuple[StoredEvent, ...]:
    call = ToolCall(id=f"c{step}", name="calc", arguments=arguments)
    parts = (Thinking(text=thought), call) if thought else (call,)
    result = ToolResult(call_id=f"c{step}", name="calc", text="5")
    responded = ModelResponded(step=step, message=AssistantMessage(parts=parts), tokens=record, usage=usage(record))
    return asked(step), responded, CallFinished(result=result)


def says(step: int, text: str, record: Tokens) -> tuple[StoredEvent, ...]:
    message = AssistantMessage(parts=(Text(text=text),))
    return asked(step), ModelResponded(step=step, message=message, tokens=record, usage=usage(record))


def usage(record: Tokens) -> Usage:
    return Usage(prompt_tokens=2, completion_tokens=sum(len(s.ids) for s in record.spans if s.kind == "sampled"))


def attempt(index: int, score: float, *events: StoredEvent, split: str = "train", batch: str = "b") -> list[Stored]:
    sample = Sample.model_validate({"batch": batch, "task": "t", "index": index, "split": split, "kind": "sums"})
    beginning = RunStarted(
        prompt="2+3?", instructions="Calculate.", model="local:starter", tools=(CALC,), sample=sample
    )
    end = (
        RunFinished(outcome="answered", answer="5"),
        SampleScored(verifier="exact/1", name="answer", score=score),
        SampleScored(verifier="reward/1", name="reward", score=score),
    )
    return [Stored(f"{batch}-r{index}", n, AT + n, event) for n, event in enumerate((beginning, *events, *end), 1)]


def first() -> Tokens:
    return tokens(span("context", 65, 66, 67), span("sampled", 68, 69), root=True)


GOOD = attempt(
    0,
    1.0,
    *called(1, '{"expression": "2+3"}', first(), thought="Add."),
    *says(2, "5", tokens(span("context", 70, 71), span("sampled", 72), span("forced", 73, 74), span("sampled", 75))),
)
"""Its second answer has tokens in the middle that were written for it."""

WRONG = attempt(
    1,
    0.0,
    *called(1, '{"expression": "2*3", "limit": null}', first()),
    *says(2, "6", tokens(span("context", 70), span("sampled", 76, 77))),
)

LATE = attempt(
    2,
    0.0,
    *called(1, '{"expression": "2+3"}', first(), thought="Add."),
    *says(2, "6", tokens(span("context", 70, 71), span("sampled", 78))),
)
"""Parts from the good one only after the tool has spoken."""

PLAIN = [
    attempt(
        0,
        1.0,
        *called(1, '{"expression": "2+3"}', first()),
        *says(2, "5", tokens(span("context", 70), span("sampled", 72))),
        batch="plain",
    ),
    attempt(
        1,
        0.0,
        *called(1, "{oops", first()),
        Compacted(kept=0, summary="You asked 2+3."),
        *says(2, "9", tokens(span("context", 80, 81), span("sampled", 82), root=True)),
        batch="plain",
    ),
]
"""A group without forced tokens; in the second attempt a call is no JSON, and the conversation is begun anew."""


def truth(run: list[Stored]) -> list[dict[str, list]]:
    """The sequences of a run, read off its events by hand."""
    found: list[dict[str, list]] = []
    for each in run:
        if isinstance(each.event, ModelResponded) and each.event.tokens:
            if each.event.tokens.root:
                found.append({"ids": [], "mask": [], "logprobs": []})

            for part in each.event.tokens.spans:
                found[-1]["ids"] += part.ids
                found[-1]["mask"] += [int(part.kind == "sampled")] * len(part.ids)
                found[-1]["logprobs"] += part.logprobs or [0.0] * len(part.ids)

    return found
