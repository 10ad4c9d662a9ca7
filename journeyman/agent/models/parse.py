"""From what a model writes, piece by piece, to thoughts, words and calls.

Nothing a model writes is an error here: an unclosed tag ends with the text, and a call that is no JSON keeps its text,
for the toolbox to tell the model what is wrong with it. Whether a tag was meant is not asked: a model that can call
tools has learned to write them.
"""

import json
import re
from typing import Any, Literal, NamedTuple

from journeyman.agent.models.renderer import HERMES, Dialect
from journeyman.traces.events import ModelDelta
from journeyman.traces.messages import Part, Text, Thinking, ToolCall, call_id

Kind = Literal["text", "thinking", "call"]


class Tag(NamedTuple):
    opens: str
    kind: Kind
    closes: str


TAGS = (
    Tag("<think>", "thinking", "</think>"),
    Tag("<tool_call>", "call", "</tool_call>"),
    Tag("<|channel|>analysis<|message|>", "thinking", "<|end|>"),  # the harmony dialect
)
DROPPED = (
    "<|start|>assistant", "<|channel|>final<|message|>", "<|channel|>commentary<|message|>", "<|return|>"
)  # fmt: skip
"""Marks of the harmony dialect that say nothing more."""
THOUGHT = "</think>"
"""Without its opening, which some servers write themselves: what came before was thinking."""

ROLE = " to=functions."
"""Where harmony may name a call's recipient instead: before the channel."""
NEVER = "\0"
LAST_MARK = re.compile(r"<[^<>\s]+>\s*$")
UNQUOTED = re.compile(r"\s*+(?P<name>[\w.-]++)[^{]*+(?P<arguments>\{.*\})", re.DOTALL)

CALL = re.compile(
    r'\{\s*+"name"\s*+:\s*+(?P<name>"(?:[^"\\]|\\.)*+")\s*+,\s*+"(?:arguments|parameters)"\s*+:\s*+(?P<arguments>.*)\}',
    re.DOTALL,
)
"""Nothing in it is tried twice: a model may write any number of spaces."""
NAME = re.compile(r'"name"\s*:\s*"([^"\\]*)"')
MEANT = re.compile(r"\s*<\|?tool_call|.*</tool_call>\s*\Z", re.DOTALL)
FENCE = re.compile(r"\s*```(?:json)?\s*(\{.*\})\s*```\s*", re.DOTALL)


class Parser:
    """Takes the pieces of one turn in order.

    `names` are the tools of the run: only a bare `{"name": ..., "arguments": ...}` that names one of them is a call.
    `dialect` is how the model's family writes calls; those of Hermes and harmony are read from everybody.
    """

    def __init__(self, step: int, names: frozenset[str] = frozenset(), dialect: Dialect = HERMES) -> None:
        self.kind: Kind = "text"
        self._step = step
        self._names = names
        self._dialect = dialect
        self._openings = {tag.opens: tag for tag in (*TAGS, *_own_tags(dialect))}
        self._all: tuple[str, ...] = (*self._openings, *DROPPED, THOUGHT)
        self._tag: Tag | None = None
        self._held = ""
        self._blocks: list[tuple[Kind, list[str]]] = []

    def feed(self, piece: str) -> list[ModelDelta]:
        """What this piece shows of the turn; a tag, or what may become one, is held back."""
        text, deltas = self._held + piece, []
        while found := self._next_mark(text):
            at, mark = found
            deltas += self._take(text[:at])
            self._pass(mark)
            text = text[at + len(mark) :]

        keep = self._unfinished(text)
        self._held = text[len(text) - keep :]
        return deltas + self._take(text[: len(text) - keep])

    @property
    def held(self) -> bool:
        """The end of what came may be the beginning of a mark."""
        return bool(self._held)

    @property
    def said(self) -> bool:
        """There is more than thoughts."""
        return any(kind != "thinking" and any(map(str.strip, pieces)) for kind, pieces in self._blocks)

    def rest(self) -> list[ModelDelta]:
        """What was held back, when nothing more comes."""
        held, self._held = self._held, ""
        return self._take(held)

    def finish(self) -> tuple[Part, ...]:
        """The parts of the whole turn."""
        self.rest()
        parts: list[Part] = []
        for kind, pieces in self._blocks:
            text = "".join(pieces).strip()
            if text:
                calls = sum(part.type == "tool_call" for part in parts)
                parts.append(self._part(kind, text, call_id(self._step, calls)))

        return tuple(parts)

    def _part(self, kind: Kind, text: str, new_id: str) -> Part:
        if kind == "thinking":
            return Thinking(text=text)

        if kind == "call":
            return read_call(text, new_id, self._dialect)

        bare = read_bare_call(text, new_id, self._names)
        return bare or Text(text=text)

    def _take(self, text: str) -> list[ModelDelta]:
        if not text:
            return []

        if not self._blocks or self._blocks[-1][0] != self.kind:
            self._blocks.append((self.kind, []))

        self._blocks[-1][1].append(text)
        return [ModelDelta(kind=self.kind, text=text)]

    def _marks(self) -> tuple[str, ...]:
        """What may end the block that is being written."""
        return (self._tag.closes,) if self._tag else self._all

    def _next_mark(self, text: str) -> tuple[int, str] | None:
        """Where the next mark is, and which."""
        found = [(at, mark) for mark in self._marks() if (at := text.find(mark)) >= 0]
        return min(found) if found else None

    def _pass(self, mark: str) -> None:
        if self._tag is None and mark == THOUGHT:
            self._blocks = [("thinking" if kind == "text" else kind, pieces) for kind, pieces in self._blocks]

        self._tag = None if self._tag else self._openings.get(mark)
        self.kind = self._tag.kind if self._tag else "text"
        # A new block even where the kind stays: two calls are two.
        self._blocks.append((self.kind, []))

    def _unfinished(self, text: str) -> int:
        """How many characters at the end may be the start of a mark."""
        if "<" not in text:
            return 0

        marks = self._marks()
        ends = range(min(max(map(len, marks)) - 1, len(text)), 0, -1)
        return next((n for n in ends if any(mark.startswith(text[-n:]) for mark in marks)), 0)


def _own_tags(dialect: Dialect) -> list[Tag]:
    if not dialect.opens or dialect == HERMES:
        return []

    closes = LAST_MARK.search(dialect.close)
    tags = [Tag(dialect.opens, "call", closes[0].rstrip() if closes else NEVER)]
    return [*tags, Tag(ROLE, "call", NEVER)] if dialect.opens.endswith(ROLE) else tags


def read_json(text: str | bytes, *, strict: bool = False) -> Any:
    """The value of JSON text; None where it has none, or is nested past reading. Strict: no bare line breaks."""
    try:
        return json.loads(text, strict=strict)
    except (ValueError, RecursionError):
        return None


def read_call(text: str, new_id: str, dialect: Dialect = HERMES) -> ToolCall:
    """The call that `text` writes; its arguments stay as they were written, valid or not."""
    if not dialect.quoted and (found := UNQUOTED.match(text)):
        return ToolCall(id=new_id, name=found["name"], arguments=found["arguments"])

    tail = LAST_MARK.sub("", dialect.close).strip()
    if len(tail) > 1 and text.rstrip().endswith(tail):  # a list of calls, an id after the arguments
        text = text.rstrip().removesuffix(tail).lstrip().removeprefix("[") + "}"

    shaped = CALL.fullmatch(text.strip())
    if shaped and isinstance(name := read_json(shaped["name"]), str):
        return ToolCall(id=new_id, name=name, arguments=_unwrapped(shaped["arguments"].rstrip()))

    value = read_json(text)
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        arguments = value.get("arguments", value.get("parameters", {}))
        written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        return ToolCall(id=new_id, name=value["name"], arguments=written)

    named = NAME.search(text)
    return ToolCall(id=new_id, name=named[1] if named else "", arguments=text)


def read_bare_call(text: str, new_id: str, names: frozenset[str]) -> ToolCall | None:
    """A call written without its tag, if `text` is one to a tool that exists."""
    if fenced := FENCE.fullmatch(text):
        text = fenced[1]

    if not (names and text.startswith("{") and text.endswith("}")):
        return None

    call = read_call(text, new_id)
    return call if call.name in names and call.arguments != text else None


def meant_as_call(text: str) -> bool:
    """Words that have the marks of a call: what a model writes that may not make one, or cannot."""
    return MEANT.match(text) is not None


def _unwrapped(arguments: str) -> str:
    """Some models write the arguments as a JSON string that holds JSON."""
    if not arguments.startswith('"'):
        return arguments

    inner = read_json(arguments)
    return inner if isinstance(inner, str) and inner.lstrip().startswith("{") else arguments
