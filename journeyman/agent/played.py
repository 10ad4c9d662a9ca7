"""The parts of a recorded run, played: a model that answers as it did, tools whose calls come to what they came to."""

import json
import re
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Self, cast

from pydantic import JsonValue

from journeyman.agent.models.model import Capabilities, Request
from journeyman.agent.plan import SPEC as PLAN
from journeyman.agent.rest import GO_ON, LEFT_OUT
from journeyman.agent.run import MAX_RESULT
from journeyman.agent.tape import Tape
from journeyman.errors import ContextOverflow, ModelError, Refused, ServerError, ToolError
from journeyman.policies.decision import Decision
from journeyman.tools.tool import Output, Report
from journeyman.traces.events import (
    CallDecided,
    CallFinished,
    CallProposed,
    Compacted,
    Event,
    ModelDelta,
    ModelResponded,
    RunFinished,
    RunStarted,
    StoredEvent,
)
from journeyman.traces.fold import State
from journeyman.traces.messages import ToolSpec
from journeyman.veil import Veil


class Unveiled(Veil):
    """Hides nothing and fills nothing in: what is played has been stored, and nothing is done with it."""

    def fresh(self) -> Self:
        return self

    def hide(self, text: str) -> str:
        return text

    def fill(self, text: str) -> str:
        return text


class PlayedModel:
    """Answers each step as it was answered."""

    def __init__(self, started: RunStarted, events: Sequence[StoredEvent], tape: Tape | None = None) -> None:
        self.spec = started.model
        abilities = started.model_info.get("capabilities")
        self.capabilities = Capabilities.model_validate(abilities if isinstance(abilities, dict) else {})
        self._answers = {event.step: event for event in events if isinstance(event, ModelResponded)}
        self._info = {name: value for name, value in started.model_info.items() if name != "capabilities"}
        self._tape = tape

    async def open(self) -> dict[str, JsonValue]:
        return self._info

    async def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded, None]:
        if self._tape and isinstance(self._tape.next, Compacted):  # asked, and it did not fit
            raise ContextOverflow("The conversation did not fit the model's window.")

        answer = self._answers.get(request.step)
        if answer is not None:
            yield answer
            if answer.finish == "cut":
                self._fail()

            return

        if self._tape is None:
            raise ModelError(f"The record has no step {request.step}.", fix="Ask a model: --live-model")

        self._fail()
        await self._tape.ended()

    def _fail(self) -> None:
        """Raise what the record says the model failed with, if it does."""
        match self._tape.next if self._tape else None:
            case RunFinished(outcome="model_error", error={"kind": kind, "message": message, **more}):
                raised = next((each for each in ModelError.__subclasses__() if each.kind == kind), ModelError)
                raise raised(message, fix=more.get("fix", ""))

    def forget(self, run_id: str) -> None:
        pass

    async def close(self) -> None:
        pass


class PlayedTools:
    """Offers the recorded tools; each call of them comes to what it came to."""

    def __init__(self, tape: Tape) -> None:
        self.specs = tuple(spec for spec in tape.started.tools if spec.identity != PLAN.identity)
        self._tape = tape
        self._specs = {spec.name: spec for spec in self.specs}
        pending = State.of(tape.before).pending
        made = [call for event in tape.events if isinstance(event, ModelResponded) for call in event.message.calls]
        self._calls = deque(call.id for call in (*pending, *made) if call.name != PLAN.name)

    def find(self, name: str) -> "PlayedTool | None":
        """Asked once for each call, in the model's order."""
        call_id = self._calls.popleft() if self._calls else ""
        return PlayedTool(self._specs[name], call_id, self._tape) if name in self._specs else None

    def suggest(self, name: str) -> str:
        proposed = self._tape.next
        return (isinstance(proposed, CallProposed) and proposed.problem) or f"the record has no tool {name!r}"


@dataclass(frozen=True, slots=True)
class PlayedTool:
    spec: ToolSpec
    call_id: str
    tape: Tape

    def parse(self, arguments: str) -> dict[str, JsonValue]:
        match self.tape.next:
            case CallProposed(problem=str(problem)):
                raise ToolError(problem)
            case CallProposed(arguments=dict(parsed)):
                return parsed
            case _:  # what a person made of the arguments
                return self._edited(arguments)

    def _edited(self, arguments: str) -> dict[str, JsonValue]:
        done = self.tape.result(self.call_id)
        begun = any(e.type == "call_started" and e.call_id == self.call_id for e in self.tape.events)
        if done is not None and done.status == "error" and not begun:
            raise ToolError(done.result.text.removeprefix("error: "))

        return json.loads(arguments)

    async def call(self, arguments: dict[str, JsonValue], report: Report) -> Output:  # noqa: ARG002 - as recorded
        done = self.tape.result(self.call_id)
        if done is not None:
            return output_of(done, self.tape.longest)

        if isinstance(self.tape.next, CallFinished):  # its neighbours' results are there: the cut comes after them
            return Output("")

        match self.tape.next:
            case RunFinished(error={"kind": Refused.kind, "message": str(message), **more}):  # what it asked for
                raise Refused(message, fix=more.get("fix", ""))

        return await self.tape.ended()


def output_of(done: CallFinished, longest: int = MAX_RESULT) -> Output:
    """What a tool must have given for this result, where those longer than `longest` were cut.

    Raises:
        ServerError: it did not give one.
    """
    if done.status == "timeout":
        return cast("Output", None)  # what the loop sees of a call whose time is up

    if done.status == "unknown":
        raise ServerError(done.result.text.removeprefix("error: "), maybe_done=True)

    result = done.result
    cut = _CUT.search(result.text, longest)
    text = result.text[:longest] + " " * int(cut[1].replace(",", "")) if cut else result.text
    return Output(text, data=result.data, is_error=result.is_error)


_CUT = re.compile(rf"\n\[([\d,]+) (?:{re.escape(LEFT_OUT)}|{re.escape(GO_ON)})\Z")


class PlayedPolicy:
    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def watch(self, *, remote: bool) -> Self:  # noqa: ARG002 - as recorded
        return self

    def apply(self, event: Event) -> None:
        pass

    def decide(self, tool: ToolSpec, arguments: dict[str, JsonValue]) -> Decision:  # noqa: ARG002 - as recorded
        match self._tape.next:
            case CallDecided() as decided:
                return Decision.recorded(decided)
            case CallFinished(status="denied", result=result):  # what a person made of the arguments
                return Decision(effect="deny", reason=result.text.removeprefix("denied: "))
            case _:
                return Decision(effect="allow")
