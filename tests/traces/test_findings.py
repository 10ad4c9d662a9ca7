import pytest

from journeyman.traces.findings import of_call
from journeyman.traces.messages import Text, Tokens
from tests.traces.runs import exact, responded, span

CONTEXT = span("context", 1, 2)
GOOD = span("sampled", 3, 4, logprobs=(-0.1, 0.0))


def found(tokens: Tokens | None, *, first: bool = True, **sampling) -> list[tuple[str, str]]:
    event = responded(1, Text(text="x"), tokens=tokens)
    return [(each.level, each.code) for each in of_call(event, {"temperature": 1.0} | sampling, first=first)]


@pytest.mark.parametrize(
    ("tokens", "codes"),
    [
        (None, []),
        (exact(CONTEXT, GOOD, root=True), []),
        (exact(CONTEXT, span("forced", 9), GOOD, root=True), []),
        (Tokens(level="text"), [("info", "text_only")]),
        (Tokens(level="text", spans=(CONTEXT,)), [("info", "text_only"), ("fatal", "spans_of_text")]),
        (exact(CONTEXT, root=True), [("warn", "nothing_sampled")]),
        (exact(CONTEXT, GOOD), [("info", "first_extends")]),
        (exact(span("sampled", 3, logprobs=(0.3,)), root=True), [("fatal", "positive_logprob")]),
        (exact(span("sampled", 3, logprobs=(float("-inf"),)), root=True), [("fatal", "positive_logprob")]),
        (exact(span("sampled", 3, 4, logprobs=(-1.0,)), root=True), [("fatal", "short_logprobs")]),
        (exact(span("sampled", 3, 4, logprobs=(-1.0, None)), root=True), [("warn", "missing_logprobs")]),
        (exact(span("sampled", 3), root=True), [("fatal", "no_logprobs")]),
        (exact(span("sampled", 3), root=True, kind="none"), []),
        (exact(GOOD, span("forced", 5, logprobs=(-1.0,)), root=True), [("fatal", "unmasked")]),
    ],
)
def test_what_is_wrong_with_a_record_is_graded(tokens, codes) -> None:
    assert found(tokens) == codes


def test_a_later_call_that_begins_a_new_sequence_is_told() -> None:
    assert found(exact(CONTEXT, GOOD, root=True), first=False) == [("warn", "not_extended")]
    assert found(exact(CONTEXT, GOOD), first=False) == []


@pytest.mark.parametrize("sampling", [{"temperature": 0.7}, {"top_p": 0.9}])
def test_raw_logprobs_of_a_reshaped_distribution_are_told(sampling) -> None:
    assert found(exact(CONTEXT, GOOD, root=True), **sampling) == [("warn", "raw_logprobs")]
    assert found(exact(CONTEXT, GOOD, root=True, kind="processed"), **sampling) == []
