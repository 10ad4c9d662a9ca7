"""The families of models whose format is known, and which one a model is of.

Sources: the chat templates that Qwen, SmolLM, Llama 3 and Gemma are published with; for gpt-oss the harmony format of
the `openai-harmony` package, which itself needs a vocabulary from the network: tests compare with it.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Self

from journeyman.agent.models.renderer import BARE, Dialect, Renderer, Segment
from journeyman.config import Effort
from journeyman.traces.messages import AssistantMessage, Text, Thinking, ToolCall, ToolResult, ToolSpec

CHATML = Renderer(
    name="chatml/1",  # the shipped adapter was trained on this very text
    end="<|im_end|>",
    after="\n",
    system=("<|im_start|>system\n", "<|im_end|>\n"),
    user=("<|im_start|>user\n", "<|im_end|>\n"),
    assistant="<|im_start|>assistant\n",
)

CHATML_BARE = CHATML.model_copy(update={"name": "chatml-bare/1", "dialect": BARE})
"""For a model that cannot write the marks of a call."""

LLAMA3 = Renderer(
    name="llama3/1",
    end="<|eot_id|>",
    system=("<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"),
    user=("<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"),
    result=("<|start_header_id|>ipython<|end_header_id|>\n\n", "<|eot_id|>"),
    result_body="{}",
    assistant="<|start_header_id|>assistant<|end_header_id|>\n\n",
    dialect=BARE,
)

GEMMA = Renderer(
    name="gemma/1",
    end="<end_of_turn>",
    after="\n",
    system=None,
    user=("<start_of_turn>user\n", "<end_of_turn>\n"),
    assistant="<start_of_turn>model\n",
    dialect=BARE,
)


HARMONY_EFFORT: Mapping[Effort, str] = {
    "minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"
}  # fmt: skip


class Harmony(Renderer):
    """gpt-oss: channels for thinking, calls and answers; tools as TypeScript in a developer turn."""

    effort: str = "medium"

    def trying(self, effort: Effort | None) -> Self:
        """It knows low, medium and high."""
        return self.model_copy(update={"effort": HARMONY_EFFORT[effort]}) if effort else self

    def opening(self, instructions: str, tools: Sequence[ToolSpec]) -> list[Segment]:
        calls = "\nCalls to these tools must go to the commentary channel: 'functions'." if tools else ""
        system = (
            "You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: 2024-06\n"
            f"\nReasoning: {self.effort}\n\n"
            f"# Valid channels: analysis, commentary, final. Channel must be included for every message.{calls}"
        )
        segments = [Segment(f"<|start|>system<|message|>{system}<|end|>", control=True)]
        body = "\n\n".join(filter(None, [instructions and f"# Instructions\n\n{instructions}", _namespace(tools)]))
        if not body:
            return segments

        return [
            *segments,
            Segment("<|start|>developer<|message|>", control=True),
            Segment(body, control=False),
            Segment(self.end, control=True),
        ]

    def results(self, result: ToolResult) -> list[Segment]:
        return [
            Segment(result.name, control=False),
            Segment(" to=assistant<|channel|>commentary<|message|>", control=True),
            Segment(result.text, control=False),
        ]

    def completion(self, message: AssistantMessage) -> list[Segment]:
        segments: list[Segment] = []
        end = ""
        for part in message.parts:
            if end:
                segments.append(Segment(end + self.assistant, control=True))

            segments += self.part(part)
            end = self.call_end if part.type == "tool_call" else self.end

        return segments

    def part(self, part: Thinking | Text | ToolCall) -> list[Segment]:
        if part.type == "tool_call":
            return [
                Segment(" to=functions.", control=True),
                Segment(part.name, control=False),
                Segment("<|channel|>commentary <|constrain|>json<|message|>", control=True),
                Segment(part.arguments, control=False),
            ]

        before = self.said if part.type == "text" else self.think[0]
        return [Segment(before, control=True), Segment(part.text, control=False)]


def _namespace(tools: Sequence[ToolSpec]) -> str:
    if not tools:
        return ""

    return (
        "# Tools\n\n## functions\n\nnamespace functions {\n\n"
        + "".join(map(_function, tools))
        + "} // namespace functions"
    )


def _function(tool: ToolSpec) -> str:
    about = "".join(f"// {line}\n" for line in tool.description.splitlines())
    required = tool.parameters.get("required") or []
    properties = tool.parameters.get("properties") or {}
    if not properties:
        return f"{about}type {tool.name} = () => any;\n\n"

    fields = ""
    for name, schema in properties.items():
        note = schema.get("description") if isinstance(schema, dict) else None
        fields += "".join(f"// {line}\n" for line in str(note or "").splitlines())
        fields += f"{name}{'' if name in required else '?'}: {_typescript(schema)},\n"

    return f"{about}type {tool.name} = (_: {{\n{fields}}}) => any;\n\n"


def _typescript(schema: object) -> str:
    match schema:
        case {"type": "string", "enum": [*options]}:
            return " | ".join(f'"{option}"' for option in options)
        case {"type": "integer" | "number"}:
            return "number"
        case {"type": "string" | "boolean" as name}:
            return str(name)
        case {"type": "array", "items": items}:
            return f"{_typescript(items)}[]"
        case _:
            return "any"


HARMONY = Harmony(
    name="harmony/1",
    end="<|end|>",
    call_end="<|call|>",
    stop="<|return|>",
    system=("<|start|>developer<|message|>", "<|end|>"),
    user=("<|start|>user<|message|>", "<|end|>"),
    result=("<|start|>functions.", "<|end|>"),
    assistant="<|start|>assistant",
    said="<|channel|>final<|message|>",
    think=("<|channel|>analysis<|message|>", "<|end|><|start|>assistant"),
    dialect=Dialect(
        opens="<|channel|>commentary to=functions.", head="", middle=" <|constrain|>json<|message|>", close=""
    ),
    special=("<|channel|>", "<|message|>", "<|constrain|>", "<|start|>", "<|end|>"),
)

PLAIN = Renderer(
    name="plain/1",
    end="",
    after="\n\n",
    system=("", "\n\n"),
    user=("User: ", "\n\n"),
    assistant="Assistant:",
)
"""For a base model, which was trained on no format; it ends with the model's own end-of-text token."""

MARKS = {
    CHATML: ("<|im_start|>", "<|im_end|>"),
    LLAMA3: ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    GEMMA: ("<start_of_turn>", "<end_of_turn>"),
    HARMONY: ("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|call|>", "<|return|>"),
}
"""Special tokens by which a family's vocabulary is known."""
PROBE = tuple(dict.fromkeys(mark for marks in MARKS.values() for mark in marks))
FAMILIES = {family.name.partition("/")[0]: family for family in (*MARKS, CHATML_BARE, PLAIN)}
STRANGE = ("<|im_sep|>",)
"""Marks of a template that begins like a family's and goes on otherwise."""


def known_family(special: Container[str], template: str) -> Renderer | None:
    """The family whose special tokens a vocabulary has; None where its own template has to tell."""
    if any(mark in template for mark in STRANGE):
        return None

    return next((family for family, marks in MARKS.items() if all(mark in special for mark in marks)), None)
