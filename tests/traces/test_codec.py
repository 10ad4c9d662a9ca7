import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeyman.traces.codec import decode, encode, pack_spans, unpack_spans
from journeyman.traces.events import (
    CallFinished,
    CallProposed,
    ModelResponded,
    RunFinished,
    RunStarted,
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

texts = st.text(max_size=50)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
float32 = st.floats(max_value=0, allow_nan=False, allow_infinity=False, width=32)
ids = st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=8)
spans = st.builds(
    lambda kind, numbers, logprobs: TokenSpan(
        kind=kind,
        ids=tuple(numbers),
        logprobs=tuple(logprobs[n % len(logprobs)] for n in range(len(numbers))) if logprobs else None,
    ),
    st.sampled_from(["context", "sampled", "forced"]),
    ids,
    st.none() | st.lists(st.none() | float32, min_size=1, max_size=4),
)
parts = st.one_of(
    st.builds(Text, text=texts),
    st.builds(Thinking, text=texts, signature=st.none() | texts, hidden=st.booleans()),
    st.builds(ToolCall, id=texts, name=texts, arguments=texts),
)
events = st.one_of(
    st.builds(
        RunStarted,
        prompt=texts,
        model=texts,
        instructions=texts,
        tools=st.lists(st.builds(ToolSpec, name=texts, server=texts, tool=texts), max_size=2).map(tuple),
        returns=st.none() | st.dictionaries(texts, json_values, max_size=2),
    ),
    st.builds(
        ModelResponded,
        step=st.integers(1, 99),
        message=st.builds(AssistantMessage, parts=st.lists(parts, max_size=3).map(tuple), provider_state=json_values),
        tokens=st.none() | st.builds(Tokens, level=st.just("tokens"), spans=st.lists(spans, max_size=3).map(tuple)),
    ),
    st.builds(CallProposed, call_id=texts, tool=texts, arguments=st.none() | st.dictionaries(texts, json_values)),
    st.builds(
        CallFinished,
        result=st.builds(ToolResult, call_id=texts, name=texts, text=texts | texts.map(lambda t: t + "long " * 2000)),
    ),
    st.builds(RunFinished, outcome=st.just("answered"), answer=st.none() | texts),
)


def round_trip(event: StoredEvent) -> StoredEvent:
    row = encode(event)
    blobs = dict(row.blobs)
    return decode(row.type, row.body, row.tokens, blobs.__getitem__)


@given(events)
def test_every_event_comes_back_as_it_was(event: StoredEvent) -> None:
    assert round_trip(event) == event


def test_somebodys_data_is_never_mistaken_for_a_blob() -> None:
    proposed = CallProposed(call_id="c1", tool="a.b", arguments={"$blob": "0" * 64})

    assert round_trip(proposed) == proposed


def test_token_ids_and_logprobs_are_binary_and_missing_ones_stay_missing() -> None:
    span = TokenSpan(kind="sampled", ids=(1, 49151), logprobs=(-0.25, None))
    event = ModelResponded(
        step=1, message=AssistantMessage(parts=()), tokens=Tokens(level="tokens", root=True, spans=(span,))
    )

    row = encode(event)

    assert row.tokens is not None
    assert len(row.tokens) == 6 + 2 * 4 + 2 * 4
    assert "49151" not in row.body
    assert round_trip(event) == event


def test_a_long_result_is_kept_once_under_its_hash() -> None:
    event = CallFinished(result=ToolResult(call_id="c1", name="x", text="y" * 100_000))
    other = event.model_copy(update={"seconds": 1.0})

    first, second = encode(event), encode(other)

    assert first.blobs == second.blobs
    assert len(first.body) < 300


def test_a_logprob_is_kept_as_float32() -> None:
    span = TokenSpan(kind="sampled", ids=(1,), logprobs=(-math.pi,))

    back = unpack_spans(pack_spans((span,)))

    assert back == [{"kind": "sampled", "ids": [1], "logprobs": [pytest.approx(-math.pi, abs=1e-6)]}]


def test_half_a_surrogate_pair_is_replaced_not_fatal() -> None:
    short = CallFinished(result=ToolResult(call_id="c1", name="x", text="a\udc80b"))
    long = CallFinished(result=ToolResult(call_id="c1", name="x", text="\udc80" * 5000))

    assert round_trip(short) == CallFinished(result=ToolResult(call_id="c1", name="x", text="a\ufffdb"))
    assert round_trip(long) == CallFinished(result=ToolResult(call_id="c1", name="x", text="\ufffd" * 5000))


def test_usage_adds_up() -> None:
    assert Usage(prompt_tokens=3, completion_tokens=1) + Usage(prompt_tokens=4, cached_tokens=3) == Usage(
        prompt_tokens=7, cached_tokens=3, completion_tokens=1
    )
