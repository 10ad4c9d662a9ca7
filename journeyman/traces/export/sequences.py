"""A run as the token sequences it really was, for formats that train on tokens.

Steps whose prompt extends the tokens before are one sequence; a root begins another. Only what the model drew is
trained on: context and forced tokens are in the sequence and masked. Nothing is decoded and nothing tokenised again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import NamedTuple

from journeyman.traces.events import (
    ApprovalAnswered,
    CandidateChosen,
    CandidateTried,
    ModelRequested,
    ModelResponded,
    RunStarted,
    SampleScored,
    StoredEvent,
)
from journeyman.traces.export import Skip
from journeyman.traces.findings import of_call
from journeyman.traces.fold import Steering
from journeyman.traces.listed import worth
from journeyman.traces.writer import Stored


class Turn(NamedTuple):
    """Where one model call is in its sequence, as indices."""

    step: int
    begin: int
    """Of the first token that the call before had not seen."""
    at: int
    """Of the first token after its prompt."""
    end: int


@dataclass(slots=True)
class Tokens:
    """One sequence; the lists are equally long."""

    ids: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    """1 where the model drew the token."""
    logprobs: list[float] = field(default_factory=list)
    """In nats; NaN where none is known, and outside of the mask."""
    turns: list[Turn] = field(default_factory=list)
    """The model calls in it."""

    @property
    def prompt(self) -> int:
        """Tokens before the first one that was drawn."""
        return self.mask.index(1) if 1 in self.mask else len(self.ids)

    @property
    def exact(self) -> bool:
        """Every token that was drawn has its log-probability."""
        return not any(drawn and math.isnan(value) for drawn, value in zip(self.mask, self.logprobs, strict=True))

    def drawn(self, begin: int, end: int | None = None, other: float | None = 0.0) -> list[float | None]:
        """The log-probabilities from here to there, with `other` outside of the mask."""
        pairs = zip(self.mask[begin:end], self.logprobs[begin:end], strict=True)
        return [value if drawn else other for drawn, value in pairs]


def sequences(run: Sequence[Stored]) -> list[Tokens]:
    """A run's sequences, in order; those without a drawn token are left out.

    Raises:
        Skip: its tokens were not all recorded, or the record has a fatal fault.
    """
    found: list[Tokens] = []
    asked = ModelRequested(step=0)
    for each in run:
        if isinstance(each.event, ModelRequested):
            asked = each.event
        elif isinstance(each.event, ModelResponded) and each.event.finish != "cut":
            _take(each.event, asked, found)

    drawn = [sequence for sequence in found if any(sequence.mask)]
    if not drawn:
        raise Skip("no token of it was drawn by the model and recorded")

    return drawn


def _take(event: ModelResponded, asked: ModelRequested, found: list[Tokens]) -> None:
    tokens = event.tokens
    if tokens is None or tokens.level != "tokens":
        raise Skip(f"the tokens of step {event.step} were not recorded exactly")

    fatal = next((each for each in of_call(event, asked.sampling, first=not found) if each.level == "fatal"), None)
    if fatal is not None:
        raise Skip(f"step {event.step}: {fatal.detail}")

    if tokens.root or not found:
        found.append(Tokens())

    sequence = found[-1]
    begin = len(sequence.ids)
    read = sum(len(span.ids) for span in takewhile(lambda span: span.kind == "context", tokens.spans))
    written = sum(len(span.ids) for span in tokens.spans)
    sequence.turns.append(Turn(event.step, begin, begin + read, begin + written))
    for span in tokens.spans:
        drawn = span.kind == "sampled"
        values = span.logprobs if drawn and span.logprobs is not None else (None,) * len(span.ids)
        sequence.ids += span.ids
        sequence.mask += [int(drawn)] * len(span.ids)
        sequence.logprobs += [math.nan if value is None else value for value in values]


def demand_trainable(run: Sequence[Stored]) -> RunStarted:
    """The run's beginning, if a model may be trained on it.

    Raises:
        Skip: why not: its task is held out, a person changed a call or typed a secret, a text of others steered it.
    """
    beginnings = [each.event for each in run if isinstance(each.event, RunStarted)]  # of a fork: the parent's first
    if not beginnings:
        raise Skip("it has no beginning")

    if any(isinstance(each.event, CandidateChosen | CandidateTried) for each in run):
        raise Skip("it is a search; its candidates are runs of their own")

    if any(event.sample is not None and event.sample.split != "train" for event in beginnings):
        raise Skip("its task is held out")

    steering = Steering()
    for each in run:
        _demand_untouched(each.event)
        steering.apply(each.event)

    if steering.found:
        raise Skip("a text of others steered a call in it, so nothing trains on it")

    return beginnings[-1]


def _demand_untouched(event: StoredEvent) -> None:
    if getattr(event, "secret", False):
        raise Skip("a secret was typed in it, so nothing trains on it")

    if isinstance(event, ApprovalAnswered) and event.arguments is not None:
        raise Skip(f"a person changed the arguments of call {event.call_id}")


def reward(run: Sequence[Stored]) -> float | None:
    """What a run was worth, by the newest score of each check; None: it was not scored."""
    scores = [each.event for each in run if isinstance(each.event, SampleScored)]
    return worth({event.name or event.verifier: event.score for event in scores})
