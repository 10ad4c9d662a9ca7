"""The one door of a call under way: what it wants besides goes through the run's policy, and into its trace.

    answer = await current()("files__read", '{"path": "a.md"}')          # a program that the model wrote calls a tool
    answer = await current()(Question("elicitation", "time", check), text)   # a server asks the user something

A refusal is an `Output` with `is_error`. A question is a call as well, of `elicitation.SERVER` or `sampling.SERVER`: a
rule names it, a person sees it in full and may edit it, and what was agreed to comes back as `Output.data`.
"""

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, Protocol

from pydantic import JsonValue

from journeyman.errors import UsageError
from journeyman.tools.schema import Schema
from journeyman.tools.tool import Output, Report, Tool
from journeyman.traces.messages import ToolSpec


class Door(Protocol):
    async def __call__(self, tool: Tool | str, arguments: str) -> Output:
        """Decide about it, ask if need be, do it.

        Args:
            tool: one, or the model-visible name of one.
            arguments: JSON text.

        Raises:
            JourneymanError: the run is over.
        """
        ...


class Book(Protocol):
    """What outlives this process of a call under way."""

    @property
    def task(self) -> str:
        """The handle that the call's server gave an earlier process; "" where it gave none."""
        ...

    async def keep(self, task: str) -> None:
        """Remember a handle."""
        ...


_book: ContextVar[Book | None] = ContextVar("journeyman_book", default=None)
_door: ContextVar[Door | None] = ContextVar("journeyman_door", default=None)


def current() -> Door:
    """That of the call under way in this task. Whoever works in another task keeps it from when the call began.

    Raises:
        UsageError: no run makes this call.
    """
    if (door := _door.get()) is None:
        raise UsageError("Nobody can be asked outside of a run.", fix="Make the call from a run.")

    return door


def book() -> Book | None:
    """That of the call under way in this task."""
    return _book.get()


@contextmanager
def opened(door: Door | None, kept: Book | None = None) -> Generator[None]:
    """What is called inside uses these, or none."""
    tokens = _door.set(door), _book.set(kept)
    try:
        yield
    finally:
        _door.reset(tokens[0])
        _book.reset(tokens[1])


class Doors:
    """Those of the calls that a server has under way; None for one outside of a run."""

    def __init__(self) -> None:
        self._open: list[Door | None] = []

    @contextmanager
    def under_way(self) -> Generator[None]:
        """A call of this task's."""
        self._open.append(door := _door.get())
        try:
            yield
        finally:
            self._open.remove(door)

    @property
    def asked(self) -> Door | None:
        """That of the call in whose task this is asked; else the only one there is."""
        there = set(self._open)
        return _door.get() or (there.pop() if len(there) == 1 else None)


class Question:
    """What a server asks of the user (`elicitation`) or of the model (`sampling`), as a call like any other.

    Args:
        kind: which of both.
        server: its name in our configuration.
        check: raises ToolError where what a person made of the arguments is no answer.
    """

    def __init__(
        self,
        kind: Literal["elicitation", "sampling"],
        server: str,
        check: Callable[[dict[str, JsonValue]], None] = lambda _: None,
    ) -> None:
        self.spec = ToolSpec(name=f"{kind}__{server}", server=kind, tool=server)
        self._check = check

    def parse(self, arguments: str) -> dict[str, JsonValue]:
        values = Schema(self.spec).parse(arguments)
        self._check(values)
        return values

    async def call(self, arguments: dict[str, JsonValue], report: Report) -> Output:  # noqa: ARG002 - done at once
        return Output(json.dumps(arguments), data=arguments)
