"""Rules: which calls, and what becomes of them.

    id = "own-notes"
    effect = "allow"
    tool = ["files.write", "files.edit"]     # server.tool; `*` stands for any run of characters
    where.path = { under = "notes" }
    unless = [{ where.path = { under = "notes/private" } }]
    why = "notes are mine to change"
    match = [{ tool = "files.write", arguments = { path = "notes/a.md" } }]
    not_match = [{ tool = "files.write", arguments = { path = "notes/private/b.md" } }]

A name without a dot is a Python function: `add` means `python.add`.
"""

import fnmatch
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, StrictBool, StrictStr

from journeyman.policies.match import Answer, Matcher, all_of
from journeyman.traces.events import Effect
from journeyman.traces.messages import ToolSpec, Value

OURS = frozenset({"agent", "calculator", "code", "files", "python", "search"})
"""Servers whose word on `read_only` counts: the built-in ones and the user's own functions. The names are reserved."""

PATTERN = re.compile(r"\*|[A-Za-z0-9_*-]+\.[^\s\x00-\x1f]+")


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _qualified(name: str) -> str:
    if "__" in name and "." not in name:
        raise ValueError(f"{name!r} is how a model writes it; a policy says {name.replace('__', '.', 1)!r}")

    full = name if "." in name or name == "*" else f"python.{name}"
    if not PATTERN.fullmatch(full):
        raise ValueError(f"{name!r} names no tool; write server.tool, server.* or the name of a Python function")

    return full


ToolName = Annotated[StrictStr, BeforeValidator(lambda name: _qualified(name) if isinstance(name, str) else name)]
ToolNames = Annotated[tuple[ToolName, ...], BeforeValidator(_as_tuple)]


class Condition(Value):
    """Which calls: all that is given must hold."""

    tool: ToolNames = Field(("*",), min_length=1)
    where: dict[str, Matcher] = Field(default_factory=dict)
    """By argument's name."""
    read_only: StrictBool | None = None
    """What the tool says of itself; the word of a server that is not ours counts as false."""

    def fits(self, tool: ToolSpec) -> bool:
        """All but the arguments."""
        named = any(_meets(name, tool) for name in self.tool)
        return named and (self.read_only is None or self.read_only == is_read_only(tool))

    def holds(self, tool: ToolSpec, arguments: dict[str, JsonValue], root: Path | None) -> Answer:
        if not self.fits(tool):
            return False

        return all_of(
            matcher.holds(arguments[name], root) if name in arguments else False for name, matcher in self.where.items()
        )


def _one_tool(name: str) -> str:
    if name == "*":
        raise ValueError("an example names one tool: server.tool")

    return name


class Example(Value):
    tool: Annotated[ToolName, AfterValidator(_one_tool)]
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    read_only: StrictBool = False

    @property
    def spec(self) -> ToolSpec:
        server, tool = self.tool.split(".", 1)
        return ToolSpec(name="example", server=server, tool=tool, read_only=self.read_only)


Examples = Annotated[
    tuple[Annotated[Example, BeforeValidator(lambda v: {"tool": v} if isinstance(v, str) else v)], ...], Field()
]


class Rule(Condition):
    id: StrictStr = ""
    effect: Effect
    tool: ToolNames = Field(min_length=1)
    unless: tuple[Condition, ...] = ()
    """Exceptions: where any of them holds, the rule does not match."""
    why: StrictStr = ""
    """Shown to the person who is asked, and to the model that is refused."""
    match: Examples = ()
    not_match: Examples = ()

    def matches(self, tool: ToolSpec, arguments: dict[str, JsonValue], root: Path | None = None) -> bool:
        """Doubt counts against the call: it matches a rule that asks or denies, and none that allows."""
        main = self.holds(tool, arguments, root)
        exceptions = [each.holds(tool, arguments, root) for each in self.unless]
        if self.effect == "allow":
            return main is True and all(answer is False for answer in exceptions)

        return main is not False and True not in exceptions

    def failing_example(self) -> str:
        """The first example that turns out otherwise, in words; empty if none does."""
        for example in self.match:
            if not self.matches(example.spec, example.arguments):
                return f"it does not match its example {example.tool} {example.arguments}"

        for example in self.not_match:
            if self.matches(example.spec, example.arguments):
                return f"it matches {example.tool} {example.arguments}, which it says it does not"

        return ""


def is_read_only(tool: ToolSpec) -> bool:
    return tool.read_only and tool.server in OURS


def _meets(name: str, tool: ToolSpec) -> bool:
    """`*` alone is any tool; elsewhere it stops at the first dot, which ends the server's name."""
    if name == "*":
        return True

    server, rest = _patterns(name)
    return server.match(tool.server) is not None and rest.match(tool.tool) is not None


@cache
def _patterns(name: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The standard library's own, as they do not go back; of its signs only `*` means something here."""
    server, tool = (re.sub(r"[\[?]", r"[\g<0>]", part) for part in name.split(".", 1))
    return re.compile(fnmatch.translate(server)), re.compile(fnmatch.translate(tool))
