r"""How one family of models writes a conversation: append only, so that what was rendered once is never rendered again.

One conversation is one growing text; in ChatML, for example:

    <|im_start|>system\n{instructions and tools}<|im_end|>\n          opening()
    <|im_start|>user\n{prompt}<|im_end|>\n                            turn(UserMessage)
    <|im_start|>assistant\n                                           assistant
    {what the model samples}<|im_end|>                                   sampled, never rendered
    \n<|im_start|>user\n<tool_response>\n{result}\n</tool_response><|im_end|>\n      after + turn(ToolResult)
    <|im_start|>assistant\n

Special tokens inside anything a person, a tool or a file said must not become special tokens: what is rendered comes in
segments, and only those marked `control` may be tokenised with special tokens recognised. Every family tells its tools
as short signatures in the system turn and has calls written in the dialect that its models were trained on.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple, Self

from journeyman.config import Effort
from journeyman.tools.arguments import shape
from journeyman.traces.messages import (
    AssistantMessage,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    ToolSpec,
    UserMessage,
    Value,
)


class Segment(NamedTuple):
    text: str
    control: bool
    """True: ours, special tokens are meant. False: somebody's words, to be tokenised as plain text."""


def joined(segments: Iterable[Segment]) -> list[Segment]:
    """Neighbours of one kind made one, so that they are tokenised together; none that are empty."""
    groups = groupby((segment for segment in segments if segment.text), key=lambda segment: segment.control)
    return [Segment("".join(segment.text for segment in group), control) for control, group in groups]


MARK = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]")
"""A special token, as templates write them."""
Around = tuple[str, str]
"""What stands before and after somebody's words."""


class Dialect(Value):
    """How a call is written: `{opens}{head}{name}{middle}{arguments}{close}`."""

    opens: str = ""
    """The mark that begins a call; empty where the call is the whole turn and begins with its brace."""
    head: str = '{"name": "'
    middle: str = '", "parameters": '
    close: str = "}"

    @property
    def quoted(self) -> bool:
        """Is the name a JSON string."""
        return self.head.endswith('"')

    def name(self, name: str) -> str:
        """The name as it stands between `head` and `middle`."""
        return json.dumps(name)[1:-1] if self.quoted else name

    def call(self, name: str, arguments: str) -> str:
        return f"{self.opens}{self.head}{self.name(name)}{self.middle}{arguments}{self.close}"


HERMES = Dialect(opens="<tool_call>", head='\n{"name": "', middle='", "arguments": ', close="}\n</tool_call>")
BARE = Dialect()


class Renderer(Value):
    """A family whose turns are words between fixed marks."""

    name: str
    """Family and version of its text: what the trace stores."""
    end: str
    """The token that ends every turn of the model's; one that ended it otherwise is replaced."""
    call_end: str = ""
    """The token that ends a turn with a call, where that is another."""
    stop: str = ""
    """The token that the model samples at the end of its answer, where that is another."""
    after: str = ""
    """What follows the token that ended the model's turn."""
    system: Around | None
    """None: the family has no system turn; the instructions stand at the head of the first user turn."""
    start: str = ""
    """What stands before a first user turn without a system turn."""
    user: Around
    result: Around | None = None
    """None: results come as user turns."""
    result_body: str = "<tool_response>\n{}\n</tool_response>"
    assistant: str
    """What stands before the model's words."""
    said: str = ""
    """What the model writes before plain text."""
    think: Around = ("<think>\n", "\n</think>\n\n")
    thinks_first: bool = False
    """A thought is begun for the model where it writes."""
    dialect: Dialect = HERMES
    special: tuple[str, ...] = ()
    """Special tokens that may stand inside of what the model writes, the ends apart."""
    origin: str = ""
    """SHA-256 of the template that this was derived from."""

    @property
    def closing(self) -> Around:
        """The tokens that end a turn of words, and one with a call, as the model samples them."""
        return self.stop or self.end, self.call_end or self.end

    @property
    def kept(self) -> tuple[str, ...]:
        """The ends that stay in the sequence when they were sampled."""
        return (self.end, self.call_end) if self.call_end else (self.end,)

    @property
    def marks(self) -> tuple[str, ...]:
        """The special tokens that give a conversation its shape."""
        pairs = (*(self.system or ()), *self.user, *(self.result or ()))
        return tuple(
            dict.fromkeys(MARK.findall("".join((*pairs, self.assistant, *self.kept, *self.closing, *self.special))))
        )

    def trying(self, effort: Effort | None) -> Self:  # noqa: ARG002 - few formats can say it
        """The renderer that tells the model how much to think."""
        return self

    def prompt(self, instructions: str, tools: Sequence[ToolSpec], messages: Sequence[Message]) -> list[Segment]:
        """A whole conversation, up to where the model writes."""
        segments = self.opening(instructions, tools)
        if self.system is None and messages and messages[0].type == "user":
            head = self.instructed(instructions, tools)
            first = UserMessage(text=f"{head}\n\n{messages[0].text}".lstrip())
            segments, messages = [Segment(self.start, control=True)], [first, *messages[1:]]

        return segments + self.turns(messages)

    def more(self, messages: Sequence[Message]) -> list[Segment]:
        """What follows the token that ended the model's last turn, up to where it writes again."""
        return [Segment(self.after, control=True), *self.turns(messages)]

    def turns(self, messages: Sequence[Message]) -> list[Segment]:
        segments = [segment for message in messages for segment in self.turn(message)]
        return [*segments, Segment(self.assistant, control=True)]

    def opening(self, instructions: str, tools: Sequence[ToolSpec]) -> list[Segment]:
        """The system turn: instructions, one line for each tool, how to call."""
        before, after = self.system or self.user
        body = self.instructed(instructions, tools)
        return [Segment(before, control=True), Segment(body, control=False), Segment(after, control=True)]

    def instructed(self, instructions: str, tools: Sequence[ToolSpec]) -> str:
        if not tools:
            return instructions

        how = "To call a tool write " + self.dialect.call("...", "{...}")
        return f"{instructions}\n\nTools:\n" + "\n".join(map(signature, tools)) + f"\n\n{how}"

    def turn(self, message: Message) -> list[Segment]:
        """One turn that is not sampled. An assistant turn is rendered only where its tokens are not known."""
        match message:
            case UserMessage(text=text):
                (before, after), body = self.user, [Segment(text, control=False)]
            case ToolResult():
                (before, after), body = self.result or self.user, self.results(message)
            case AssistantMessage():
                before, body = self.assistant, self.completion(message)
                after = (self.kept[-1] if message.calls else self.end) + self.after

        return [Segment(before, control=True), *body, Segment(after, control=True)]

    def results(self, result: ToolResult) -> list[Segment]:
        before, _, after = self.result_body.partition("{}")
        return [Segment(f"{before}{result.text}{after}", control=False)]

    def completion(self, message: AssistantMessage) -> list[Segment]:
        """What a model would have sampled to say this, without the closing token."""
        pieces: list[list[Segment]] = [self.part(part) for part in message.parts]
        joint = [Segment("\n", control=False)]
        return [segment for n, piece in enumerate(pieces) for segment in (joint + piece if n else piece)]

    def part(self, part: Thinking | Text | ToolCall) -> list[Segment]:
        if part.type == "thinking":
            return [Segment(f"{self.think[0]}{part.text}{self.think[1]}", control=False)]

        if part.type == "text":
            return [Segment(self.said, control=True), Segment(part.text, control=False)]

        dialect = self.dialect
        marked = bool(self.special)
        return [
            Segment(dialect.opens + dialect.head, control=marked),
            Segment(dialect.name(part.name), control=False),
            Segment(dialect.middle, control=marked),
            Segment(part.arguments, control=False),
            Segment(dialect.close, control=marked),
        ]

    @property
    def snapshot(self) -> str:
        """SHA-256 of a fixed conversation in this format: two renderers with the same one write the same."""
        rendered = self.prompt("Be kind.", [SAMPLE_TOOL], SAMPLE[:4]) + self.more(SAMPLE[4:])
        return hashlib.sha256(json.dumps([*joined(rendered), self.kept, self.closing]).encode()).hexdigest()


SAMPLE_TOOL = ToolSpec(
    name="files__read",
    server="files",
    tool="read",
    description="Read a text file",
    parameters={"type": "object", "properties": {"path": {"type": "string"}, "start": {"type": "integer"}}},
)
SAMPLE: tuple[Message, ...] = (
    UserMessage(text="What does a.txt say?"),
    AssistantMessage(
        parts=(Thinking(text="I read it."), ToolCall(id="c1", name="files__read", arguments='{"path": "a.txt"}'))
    ),
    ToolResult(call_id="c1", name="files__read", text="Hello."),
    AssistantMessage(parts=(Text(text="It says hello."),)),
    UserMessage(text="Thanks."),
)


def signature(tool: ToolSpec) -> str:
    """`files__read(path: string, start?: integer) - Read a text file`: a quarter of the tokens of its JSON Schema."""
    description = tool.description.strip().split("\n", 1)[0]
    return f"{tool.name}({shape(tool.parameters)}) - {description}"
