"""What a verifier is shown of a run: what was asked, done and answered, and the files as they are afterwards.

It is plain data, made from a run's events: a run can be scored long after it ended, by a verifier that did not exist
then, in a process that has nothing of the agent's in it.
"""

from collections.abc import Iterable, Mapping
from typing import Self

from pydantic import JsonValue

from journeyman.traces.events import CallFinished, CallProposed, CallStatus, Event, Inside, SampleScored
from journeyman.traces.fold import State
from journeyman.traces.messages import AssistantMessage, Value


class Called(Value):
    """A call and what came of it."""

    step: int
    tool: str
    """`server.tool`."""
    arguments: dict[str, JsonValue] | None
    status: CallStatus
    text: str
    """What the model read of it; nothing of a call that a program made."""


class Case(Value):
    prompt: str
    answer: str | None
    """None: the run ended before it gave one."""
    calls: tuple[Called, ...] = ()
    thoughts: str = ""
    files: dict[str, str | None] = {}
    """Path -> text; None where it is no text, or too long."""
    tokens: int = 0
    """That the model wrote."""
    rating: float | None = None
    """A person's newest, 0 to 1."""

    @classmethod
    def of(cls, events: Iterable[Event], files: Mapping[str, str | None] | None = None) -> Self:
        """The case that a run's events make."""
        state, proposed, calls, rating = State(), {}, [], None
        for each in events:
            state.apply(each)
            inside = isinstance(each, Inside)
            if isinstance(each, Inside) and each.own:
                continue

            event = each.event if isinstance(each, Inside) else each
            if isinstance(event, CallProposed):
                proposed[event.call_id] = event
            elif isinstance(event, SampleScored) and event.verifier == "human/1":
                rating = event.score
            elif isinstance(event, CallFinished):
                call = proposed.get(event.result.call_id)
                calls.append(
                    Called(
                        step=state.steps,
                        tool=call.tool if call else event.result.name,
                        arguments=call.arguments if call else None,
                        status=event.status,
                        text="" if inside else event.result.text,
                    )
                )

        return cls(
            prompt=state.started.prompt if state.started else "",
            answer=state.finished.answer if state.finished else state.answer,
            calls=tuple(calls),
            thoughts="\n".join(one.thinking for one in state.messages if isinstance(one, AssistantMessage)).strip(),
            files=dict(files or {}),
            tokens=state.usage.completion_tokens,
            rating=rating,
        )
