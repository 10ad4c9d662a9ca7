import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeyman.traces.codec import Packed, compress, decompress, pack, pack_spans, unpack, unpack_spans
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


def packed(*stored: StoredEvent) -> list[Packed]:
    return list(pack(("r", seq, 1000 + 7 * seq, event) for seq, event in enumerate(stored, 1)))


def round_trip(*stored: StoredEvent) -> list[StoredEvent]:
    rows = packed(*stored)
    back = [each for row, contents in rows for each in unpack(row, dict(contents).__getitem__)]
    assert [(seq, at) for seq, at, _ in back] == [(seq, 1000 + 7 * seq) for seq in range(1, len(stored) + 1)]
    return [event for _, _, event in back]


@given(st.lists(events, min_size=1, max_size=4))
def test_events_come_back_as_they_were(stored: list[StoredEvent]) -> None:
    assert round_trip(*stored) == stored


@given(st.binary() | texts.map(str.encode))
def test_what_is_compressed_comes_back(data: bytes) -> None:
    assert decompress(compress(data)) == data
    assert len(compress(data)) <= len(data) + 16


def test_somebodys_data_is_never_mistaken_for_a_blob() -> None:
    proposed = CallProposed(call_id="c1", tool="a.b", arguments={"$blob": "0" * 64})

    assert round_trip(proposed) == [proposed]


def test_token_ids_and_logprobs_are_binary_and_missing_ones_stay_missing() -> None:
    span = TokenSpan(kind="sampled", ids=(1, 49151), logprobs=(-0.25, None))
    event = ModelResponded(
        step=1, message=AssistantMessage(parts=()), tokens=Tokens(level="tokens", root=True, spans=(span,))
    )

    [(row, _)] = packed(event)

    assert row.tokens is not None
    assert len(row.tokens) == 6 + 2 * 4 + 2 * 4
    assert b"49151" not in decompress(row.body)
    assert round_trip(event) == [event]


def test_a_row_has_the_tokens_of_one_response() -> None:
    exact = Tokens(level="tokens", spans=(TokenSpan(kind="sampled", ids=(5,)),))
    response = ModelResponded(step=1, message=AssistantMessage(parts=()), tokens=exact)
    none = response.model_copy(update={"tokens": None})

    assert [row.seq for row, _ in packed(none, response, none, response, none)] == [3, 5]


def test_a_long_result_is_kept_once_under_its_hash() -> None:
    event = CallFinished(result=ToolResult(call_id="c1", name="x", text="y" * 100_000))
    other = event.model_copy(update={"seconds": 1.0})

    first, second = packed(event), packed(other)

    assert first[0].contents == second[0].contents
    assert first[0].row.blobs == first[0].contents[0][0]
    assert len(first[0].row.body) < 300


def test_a_result_that_only_looks_like_a_reference_is_a_result() -> None:
    looks = CallFinished(result=ToolResult(call_id="c1", name="x", text='{"$blob":0}', data={"$blob": 0}))
    long = CallFinished(result=ToolResult(call_id="c2", name="x", text="y" * 5000, data={"$blob": 0}))

    assert round_trip(looks, long) == [looks, long]


def test_a_logprob_is_kept_as_float32() -> None:
    span = TokenSpan(kind="sampled", ids=(1,), logprobs=(-math.pi,))

    back = unpack_spans(pack_spans((span,)))

    assert back == [{"kind": "sampled", "ids": [1], "logprobs": [pytest.approx(-math.pi, abs=1e-6)]}]


def test_half_a_surrogate_pair_is_replaced_not_fatal() -> None:
    short = CallFinished(result=ToolResult(call_id="c1", name="x", text="a\udc80b"))
    long = CallFinished(result=ToolResult(call_id="c1", name="x", text="\udc80" * 5000))

    assert round_trip(short) == [CallFinished(result=ToolResult(call_id="c1", name="x", text="a\ufffdb"))]
    assert round_trip(long) == [CallFinished(result=ToolResult(call_id="c1", name="x", text="\ufffd" * 5000))]


def test_usage_adds_up() -> None:
    assert Usage(prompt_tokens=3, completion_tokens=1) + Usage(prompt_tokens=4, cached_tokens=3) == Usage(
        prompt_tokens=7, cached_tokens=3, completion_tokens=1
    )
