"""What is wrong with a run's token record, found when it is projected.

fatal: training on it would teach something that did not happen. warn: it can be used only with care. info: worth
knowing. A run whose record is text only is no fault; nothing trains on its tokens.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import JsonValue

from journeyman.traces.events import ModelResponded
from journeyman.traces.messages import Tokens, TokenSpan, Value

Level = Literal["fatal", "warn", "info"]
ROUNDING = 1e-4
"""How far above 0 float32 arithmetic may push the log-probability of a certain token."""


class Finding(Value):
    level: Level
    code: str
    detail: str
    step: int | None = None


TYPED = Finding(
    level="fatal",
    code="typed_secret",
    detail="a person typed a secret, so that what the run was told is not what is stored; nothing may train on it",
)

STEERED = Finding(
    level="fatal",
    code="steered",
    detail="a text of others steered a call that nobody approved; nothing may learn from obeying it",
)
UNTRAINED = frozenset({TYPED.code, STEERED.code})
"""Nothing may train on such a run, and yet its record is as it was written."""


def of_call(event: ModelResponded, sampling: Mapping[str, JsonValue], *, first: bool) -> Iterator[Finding]:
    """Findings about one model call.

    Args:
        event: the response.
        sampling: how it was asked to sample, as far as that differs from the defaults (temperature 0).
        first: no earlier call of the run has tokens.
    """
    tokens = event.tokens
    if tokens is None:
        return

    for level, code, detail in _found(tokens, event.usage.completion_tokens, sampling, first=first):
        yield Finding(level=level, code=code, detail=detail, step=event.step)


def _found(
    tokens: Tokens, completion: int, sampling: Mapping[str, JsonValue], *, first: bool
) -> Iterator[tuple[Level, str, str]]:
    if tokens.level == "text":
        yield "info", "text_only", "the token ids are not complete; nothing trains on this call"
        if tokens.spans:
            yield "fatal", "spans_of_text", "spans were recorded for a call whose ids are not complete"

        return

    sampled = [span for span in tokens.spans if span.kind == "sampled"]
    written = sum(len(span.ids) for span in tokens.spans if span.kind != "context")
    if not sampled:
        yield "warn", "nothing_sampled", "no token of this call was drawn by the model"

    if completion and sampled and not len(sampled[0].ids) <= completion <= written + 1:
        yield "warn", "count", f"the engine counted {completion} tokens and {written} were recorded"

    if not first and tokens.root:
        yield "warn", "not_extended", "the prompt does not extend the call before it: a new sequence begins"

    if first and not tokens.root:
        yield "info", "first_extends", "the first call is not marked as the beginning of a sequence"

    yield from _logprobs(tokens, sampled, sampling)


def _logprobs(
    tokens: Tokens, sampled: list[TokenSpan], sampling: Mapping[str, JsonValue]
) -> Iterator[tuple[Level, str, str]]:
    for span in tokens.spans:
        if span.kind != "sampled" and span.logprobs is not None:
            yield "fatal", "unmasked", f"{span.kind} tokens carry log-probabilities as if the model had drawn them"

        values = span.logprobs or ()
        if span.logprobs is not None and len(values) != len(span.ids):
            yield "fatal", "short_logprobs", f"{len(values)} log-probabilities for {len(span.ids)} tokens"

        known = [value for value in values if value is not None]
        if any(value > ROUNDING or not math.isfinite(value) for value in known):
            yield "fatal", "positive_logprob", "a log-probability above 0, or none at all"

        if len(known) < len(values):
            yield "warn", "missing_logprobs", f"{len(values) - len(known)} tokens without log-probability; mask them"

    has_some = any(span.logprobs is not None for span in sampled)
    if tokens.logprob_kind != "none" and sampled and not has_some:
        yield "fatal", "no_logprobs", f"{tokens.logprob_kind} log-probabilities were promised and none are there"

    if tokens.logprob_kind == "raw" and has_some and _reshaped(sampling):
        yield "warn", "raw_logprobs", "raw log-probabilities of a distribution that was not sampled from (T or top_p)"


def _reshaped(sampling: Mapping[str, JsonValue]) -> bool:
    return sampling.get("temperature", 0.0) != 1.0 or sampling.get("top_p", 1.0) != 1.0
