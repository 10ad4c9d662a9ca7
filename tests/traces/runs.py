"""Runs to put into a store: made of events, with no loop behind them."""

from typing import Any

from sqlalchemy import select

from journeyman.traces import schema
from journeyman.traces.codec import decompress
from journeyman.traces.events import (
    CallDecided,
    CallFinished,
    CallProposed,
    CallStarted,
    ModelRequested,
    ModelResponded,
    RunFinished,
    RunStarted,
    SampleScored,
    StoredEvent,
)
from journeyman.traces.messages import (
    AssistantMessage,
    Part,
    Text,
    Tokens,
    TokenSpan,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
)
from journeyman.traces.store import Store, new_run_id

ADD = ToolSpec(name="add", server="python", tool="add", parameters={"type": "object"})


def started(prompt: str = "How many boats?", **more: Any) -> RunStarted:
    fields = {"model": "scripted", "model_info": {"file": "/m/SmolLM2.gguf"}, "tools": (ADD,)}
    return RunStarted.model_validate({"prompt": prompt} | fields | more)


def step(
    number: int = 1, arguments: str = '{"a": 1, "b": 2}', result: str = "3", tokens: Tokens | None = None, **more: Any
) -> list[StoredEvent]:
    """A model call and the tool call it made."""
    call_id = f"c{number}"
    call = ToolCall(id=call_id, name="add", arguments=arguments)
    return [
        ModelRequested(step=number, sampling=more.get("sampling", {})),
        responded(number, call, tokens=tokens),
        CallProposed(call_id=call_id, tool="python.add", arguments={"a": 1}),
        CallDecided(call_id=call_id, effect=more.get("effect", "allow"), rules=("r1",), reason="so"),
        CallStarted(call_id=call_id),
        CallFinished(
            result=ToolResult(call_id=call_id, name="add", text=result), status=more.get("status", "ok"), seconds=0.5
        ),
    ]


def responded(number: int, *parts: Part, tokens: Tokens | None = None) -> ModelResponded:
    completion = sum(len(span.ids) for span in tokens.spans if span.kind != "context") if tokens else 4
    usage = Usage(prompt_tokens=10, completion_tokens=completion)
    return ModelResponded(step=number, message=AssistantMessage(parts=parts), usage=usage, cost_usd=0.25, tokens=tokens)


def answer(number: int = 2, text: str = "Three boats.", tokens: Tokens | None = None, **more: Any) -> list[StoredEvent]:
    usage = Usage(prompt_tokens=20, completion_tokens=8)
    fields = {"outcome": "answered", "answer": text, "usage": usage, "steps": number, "seconds": 1.5}
    finished = RunFinished.model_validate(fields | more)
    return [ModelRequested(step=number), responded(number, Text(text=text), tokens=tokens), finished]


def scored(score: float | None, verifier: str = "exact") -> SampleScored:
    return SampleScored(verifier=verifier, score=score, status="ok" if score is not None else "error")


def span(kind: Any, *ids: int, logprobs: tuple[float | None, ...] | None = None) -> TokenSpan:
    return TokenSpan(kind=kind, ids=ids, logprobs=logprobs)


def exact(*spans: TokenSpan, root: bool = False, kind: Any = "raw") -> Tokens:
    return Tokens(level="tokens", logprob_kind=kind, root=root, spans=spans)


WHOLE = [started(), *step(), *answer()]


async def record(store: Store, *events: StoredEvent, run_id: str = "", seq: int = 0) -> str:
    recorder = store.recorder(run_id or new_run_id(), seq=seq)
    for event in events:
        recorder.record(event)

    await recorder.barrier()
    return recorder.run_id


def said(store: Store) -> bytes:
    """All that the store's rows hold, as it was before it was deflated."""
    with store.reading() as connection:
        columns = (schema.event.c.body, schema.blob.c.data)
        return b"\n".join(decompress(data) for column in columns for data in connection.scalars(select(column)))
