"""What formats for reinforcement learning share: which runs are attempts they can learn from, and whose they are.

An attempt counts where it is one of a group, was scored, and every token was drawn from the model's own distribution
with its log-probability recorded. Whatever else a run was, its reason is told.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from journeyman.traces.events import ModelRequested, ModelResponded, RunFinished, RunStarted
from journeyman.traces.export import Skip
from journeyman.traces.export.sequences import Tokens, Turn, demand_trainable, reward, sequences
from journeyman.traces.fold import State
from journeyman.traces.messages import Message
from journeyman.traces.writer import Stored

BROKEN = frozenset({"model_error", "tool_error", "sandbox_error", "interrupted"})
"""Outcomes that are not the model's doing."""


@dataclass(frozen=True, slots=True)
class Practice:
    run_id: str
    started: RunStarted
    group: str
    sample: int
    """Number of the attempt in its group."""
    reward: float
    sequences: list[Tokens]

    @property
    def about(self) -> dict[str, Any]:
        """Whose tokens they are, for a row that has a place for it."""
        return {"group": self.group, "sample": self.sample, "run_id": self.run_id}

    @property
    def turns(self) -> dict[int, tuple[Tokens, Turn]]:
        """By step, where its tokens are."""
        return {turn.step: (sequence, turn) for sequence in self.sequences for turn in sequence.turns}


def practice(run: Sequence[Stored]) -> Practice:
    """A run as an attempt that a model can learn from.

    Raises:
        Skip: why it cannot.
    """
    started = demand_trainable(run)
    sample = started.sample
    if sample is None or started.parent is not None:
        raise Skip("it is not an attempt of a group" if sample is None else "it is a fork: others share its beginning")

    value = reward(run)
    if value is None:
        raise Skip("it was not scored")

    for each in run:
        _demand_own_doing(each)

    found = sequences(run)
    if not all(sequence.exact for sequence in found):
        raise Skip("tokens that it drew have no log-probability")

    return Practice(run[-1].run_id, started, f"{sample.batch}/{sample.task}", sample.index, value, found)


def _demand_own_doing(each: Stored) -> None:
    match each.event:
        case RunFinished(outcome=outcome) if outcome in BROKEN:
            raise Skip(f"it ended in {outcome}, which is no doing of the model")
        case ModelRequested(sampling=sampling):
            for name, default in (("temperature", 0.0), ("top_p", 1.0)):
                if (value := sampling.get(name, default)) != 1.0:
                    raise Skip(f"it was drawn at {name} {value:g}")


class Call(NamedTuple):
    """One model call, and the conversation it read, instructions apart."""

    event: ModelResponded
    before: tuple[Message, ...]
    sampling: dict[str, Any]
    asked: int
    """Microseconds since 1970; so is `done`."""
    done: int

    @property
    def finish(self) -> str:
        """Why it ended, in OpenAI's words."""
        calls = "tool_calls" if self.event.message.calls else "stop"
        return "length" if self.event.finish == "length" else calls


def calls(run: Sequence[Stored]) -> Iterator[Call]:
    """The model calls that came to an end, in order."""
    state, asked, sampling = State(), 0, {}
    for each in run:
        if isinstance(each.event, ModelRequested):
            asked, sampling = each.at, dict(each.event.sampling)
        elif isinstance(each.event, ModelResponded) and each.event.finish != "cut":
            yield Call(each.event, tuple(state.messages), sampling, asked, each.at)

        state.apply(each.event)
