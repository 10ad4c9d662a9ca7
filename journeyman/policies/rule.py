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
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, StrictBool, StrictStr

from journeyman.policies.finding import Finding, Source
from journeyman.policies.labels import OURS, Does, Label, Origin, default, shipped
from journeyman.policies.match import Answer, Matcher, all_of
from journeyman.traces.events import Effect
from journeyman.traces.messages import ToolSpec, Value

PATTERN = re.compile(r"\*|[A-Za-z0-9_*-]+\.[^\s\x00-\x1f]+")


class Call(NamedTuple):
    """What is decided: a call, and what is known of it."""

    tool: ToolSpec
    arguments: Mapping[str, JsonValue]
    label: Label
    findings: tuple[Finding, ...] = ()
    root: Path | None = None
    stands_for: Path | None = None
    """The folder that `root` is a copy of."""
    contained: bool = False
    """It runs in a sandbox that was proven to isolate."""


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
    does: Annotated[tuple[Does, ...], BeforeValidator(_as_tuple)] = ()
    """What its label says it does. One that does more, or has no label, leaves the answer open."""
    untrusted: StrictBool | None = None
    """Whether something steers the call that the user did not say and its label does not let pass."""

    def fits(self, tool: ToolSpec, label: Label) -> bool:
        """All but the arguments."""
        if not any(meets(name, tool) for name in self.tool):
            return False

        if self.does and label.does and set(self.does).isdisjoint(label.does):
            return False

        return self.read_only is None or self.read_only == is_read_only(tool)

    def holds(self, call: Call, *, fits: bool = False) -> Answer:
        """`fits`: known to fit the tool."""
        if not (fits or self.fits(call.tool, call.label)):
            return False

        if self.untrusted is not None and self.untrusted == all(finding.enough for finding in call.findings):
            return False

        answers: list[Answer] = [
            matcher.holds(call.arguments[name], call.root, _origins(name, matcher, call), call.stands_for)
            if name in call.arguments
            else False
            for name, matcher in self.where.items()
        ]
        if self.does and not (call.label.does and set(call.label.does) <= set(self.does)):
            answers.append(None)

        if not call.contained and any(matcher.shell is not None for matcher in self.where.values()):
            answers.append(None)  # what a command does is known only as far as a sandbox holds

        return all_of(answers)


def _origins(name: str, matcher: Matcher, call: Call) -> set[Origin]:
    return {finding.source.origin for finding in call.findings if finding.argument == name} if matcher.origin else set()


def _one_tool(name: str) -> str:
    if name == "*":
        raise ValueError("an example names one tool: server.tool")

    return name


class Example(Value):
    tool: Annotated[ToolName, AfterValidator(_one_tool)]
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    read_only: StrictBool = False
    origin: dict[StrictStr, Origin] = Field(default_factory=dict, alias="from")
    """Where arguments came from; what comes from the user or a service may steer."""

    @property
    def call(self) -> Call:
        server, tool = self.tool.split(".", 1)
        spec = ToolSpec(name="example", server=server, tool=tool, read_only=self.read_only)
        findings = tuple(
            Finding(name, str(self.arguments.get(name, "")), "value", Source(origin), origin in {"user", "service"})
            for name, origin in self.origin.items()
        )
        return Call(spec, self.arguments, shipped().get(self.tool) or default(spec), findings)


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

    def matches(self, call: Call, *, fits: bool = False) -> bool:
        """Doubt counts against the call: it matches a rule that asks or denies, and none that allows.

        Args:
            call: what is to be decided.
            fits: the rule is known to fit the tool.
        """
        main = self.holds(call, fits=fits)
        if self.effect == "allow":
            return main is True and all(each.holds(call) is False for each in self.unless)

        return main is not False and not any(each.holds(call) is True for each in self.unless)

    def failing_example(self) -> str:
        """The first example that turns out otherwise, in words; empty if none does."""
        for example in self.match:
            if not self.matches(example.call):
                return f"it does not match its example {example.tool} {example.arguments}"

        for example in self.not_match:
            if self.matches(example.call):
                return f"it matches {example.tool} {example.arguments}, which it says it does not"

        return ""


def is_read_only(tool: ToolSpec) -> bool:
    return tool.read_only and tool.server in OURS


def meets(name: str, tool: ToolSpec) -> bool:
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
