r"""The grammar that a local model's next turn is sampled under: what was offered, and nothing else.

The engine's grammars are Lark syntax for llguidance, with each tool's JSON Schema embedded:

    %llguidance {}
    start: (PLAIN | lead rest ("\n<tool_call>" rest)*) <|im_end|>
    rest: "\n{\"name\": \"" tool "}\n</tool_call>"
    tool: "add\", \"arguments\": " arguments0 | ...
    arguments0: %json {...}

This is ChatML's; the marks are those of the model's family, special tokens among them as `<[id]>`. The end is spelled
out because the engine would else accept any end-of-text token, and the next turn must continue after it. A grammar that
does not compile is *ignored* by the engine, with a line in its log: schemas are therefore reduced to what is known to
compile, and `loose` grammars carry none.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from journeyman.agent.models.families import CHATML
from journeyman.agent.models.renderer import Renderer
from journeyman.traces.events import Choice
from journeyman.traces.messages import ToolSpec

GUIDANCE = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": True,
    "coerce_one_of": True,
}
STRING, ITEMS = 1000, 64
"""Bounds for a small model's strings and lists that have none of their own: it may never stop by itself."""


class Format(NamedTuple):
    """A family's marks and the ids of its special tokens."""

    renderer: Renderer = CHATML
    special: Mapping[str, int] = {}

    def term(self, text: str) -> str:
        """Lark for `text`: strings, and `<[id]>` for the special tokens in it; nothing for no text."""
        if not self.special:
            return _text(text) if text else ""

        found = re.split("(" + "|".join(map(re.escape, self.special)) + ")", text)
        return " ".join(f"<[{self.special[each]}]>" if each in self.special else _text(each) for each in found if each)

    @property
    def written(self) -> list[str]:
        """Special tokens whose text the parser wants to see."""
        return [mark for mark in self.special if mark not in {*self.renderer.kept, *self.renderer.closing}]

    def end(self, mark: str) -> str:
        return f"<[{self.special[mark]}]>" if mark in self.special else mark


def grammar(
    tools: Sequence[ToolSpec],
    choice: Choice,
    *,
    returns: Mapping[str, Any] | None = None,
    thinking: bool = False,
    within: bool = False,
    small: bool = False,
    loose: bool = False,
    form: Format = Format(),  # noqa: B008 - a value
) -> str:
    """Lark text for one turn in which `tools` are offered; empty where anything may be said.

    thinking: a `<think>` block may come first; within: it has begun. small: at most one call, bounded strings.
    loose: without schemas.
    """
    if not tools and returns is None:
        return ""

    if not tools:
        choice = "none"

    rules = []
    turns = _turns(choice, returns is not None, small=small, rules=rules, form=form)
    if returns is not None and choice != "required":
        rules.append(f"answer: {_json(returns, small=small, loose=loose)}")

    if choice != "none":
        rules += _calls(tools, small=small, loose=loose, form=form)

    if thinking:
        turns = f'(think "\\n"*){"" if within else "?"} ({turns})'
        rules += _thought(form, within=within)

    return "\n".join(["%llguidance {}", f"start: {turns}", *rules, ""])


def some_words(form: Format) -> str:
    """Lark text for a turn of words, and not of none."""
    words = _words(form) if form.special else "/(?s:.+)/"
    return (
        f"%llguidance {{}}\nstart: WORDS {form.end(form.renderer.closing[0])}\nWORDS: {words} & /(?s:.*)\\S(?s:.*)/\n"
    )


def _turns(choice: Choice, typed: bool, *, small: bool, rules: list[str], form: Format) -> str:
    """Alternatives of what the turn may be, each with its end; adds the rules they need."""
    opens = form.renderer.dialect.opens
    end, call_end = (form.end(mark) for mark in form.renderer.closing)
    tagged = bool(opens) and opens not in form.special and form.term(opens) == _text(opens)
    more = f' ("\\n" {_text(opens)} rest)*' if tagged and not small else ""
    call = f"{form.term(opens)} rest{more} {call_end}".lstrip()
    if choice == "required":
        return call

    said = form.term(form.renderer.said)
    if typed:
        answer = f"{said} answer {end}".lstrip()
        return answer if choice == "none" else f"{answer} | {call}"

    rules.append(_plain(form, tagged=tagged))
    plain = f"{said} PLAIN {end}".lstrip()
    if choice == "none":
        return plain

    if tagged:
        rules.append(f"lead[lazy]: /(?s:.*){_pattern(opens)}/")
        call = f"lead rest{more} {call_end}"

    return f"{plain} | {call}"


def _plain(form: Format, *, tagged: bool) -> str:
    """Words that are no call: without its mark, or where a call has none, not beginning with its brace."""
    opens = form.renderer.dialect.opens
    if tagged:
        return rf"PLAIN: /(?s:.+)/ & ~/(?s:.*{_pattern(opens)}.*)/"

    return f"PLAIN: {_words(form)}" if opens else r"PLAIN: /\s*[^{\s](?s:.*)/"


def _words(form: Format) -> str:
    """Any text without what spells a special token: the engine would take it for one."""
    marks = "|".join(map(_pattern, form.special))
    return rf"/(?s:.+)/ & ~/(?s:.*({marks}).*)/"


def _thought(form: Format, *, within: bool) -> list[str]:
    opens, closes = (mark.strip("\n") for mark in form.renderer.think)
    opens = "" if within else opens
    if form.term(closes) == _text(closes):
        return [f"think[lazy]: /{_pattern(opens)}(?s:.*){_pattern(closes)}/"]

    begins = f"{form.term(opens)} " if opens else ""
    return [f"think: {begins}THOUGHT {form.term(closes)}", f"THOUGHT: {_words(form)}"]


def _calls(tools: Sequence[ToolSpec], *, small: bool, loose: bool, form: Format) -> list[str]:
    dialect = form.renderer.dialect
    heads = [f"{form.term(dialect.name(tool.name) + dialect.middle)} arguments{n}" for n, tool in enumerate(tools)]
    return [
        " ".join(filter(None, ["rest:", form.term(dialect.head), "tool", form.term(dialect.close)])),
        f"tool: {' | '.join(heads)}",
        *(
            f"arguments{n}: {_json(_arguments(tool.parameters), small=small, loose=loose)}"
            for n, tool in enumerate(tools)
        ),
    ]


def _arguments(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """A tool that names no arguments takes none."""
    if parameters.get("properties") or parameters.keys() & {"additionalProperties", "anyOf", "oneOf", "$ref"}:
        return parameters

    return {"type": "object", "additionalProperties": False}


def _text(text: str) -> str:
    return json.dumps(text)


def _pattern(text: str) -> str:
    return re.sub(r"([^\w<> ])", r"\\\1", text)


def _json(schema: Mapping[str, Any], *, small: bool, loose: bool) -> str:
    kept = {"type": "object"} if loose else simplified(schema, small=small)
    return "%json " + json.dumps({"x-guidance": GUIDANCE, **kept})


def simplified(schema: Any, *, small: bool = False) -> dict[str, Any]:
    """The part of a JSON Schema that the engine can enforce; what is left out is checked when the call is made."""
    if not isinstance(schema, Mapping):
        return {}

    kept: dict[str, Any] = {key: schema[key] for key in PLAIN_KEYS if _fits(key, schema.get(key))}
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/") and reference.count("/") == 2:  # noqa: PLR2004
        kept["$ref"] = reference

    for key in ("properties", "$defs"):
        if isinstance(schema.get(key), Mapping):
            kept[key] = {name: simplified(value, small=small) for name, value in schema[key].items()}

    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), Sequence) and schema[key]:
            kept["anyOf"] = [simplified(value, small=small) for value in schema[key]]

    if isinstance(schema.get("items"), Mapping):
        kept["items"] = simplified(schema["items"], small=small)

    return _closed(_bounded(kept) if small else kept, schema)


PLAIN_KEYS = (
    "type", "const", "enum", "required", "minLength", "maxLength", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems",
)  # fmt: skip
TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}
NUMBERS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
COUNTS = {"minLength", "maxLength", "minItems", "maxItems"}
LARGEST = 4096


def _fits(key: str, value: Any) -> bool:
    """Is it a value that this key may have."""
    if key == "type":
        return value in TYPES if isinstance(value, str) else isinstance(value, list) and set(map(str, value)) <= TYPES

    if key in ("enum", "required"):
        return isinstance(value, list) and bool(value)

    if key in COUNTS:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST

    if key in NUMBERS:
        return isinstance(value, int | float) and not isinstance(value, bool)

    return value is not None


def _bounded(schema: dict[str, Any]) -> dict[str, Any]:
    match schema.get("type"):
        case "string" if "enum" not in schema and "const" not in schema:
            return {"maxLength": max(STRING, schema.get("minLength", 0)), **schema}
        case "array":
            return {"maxItems": max(ITEMS, schema.get("minItems", 0)), **schema}

    return schema


def _closed(kept: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Objects with named properties take no others, unless they say so; what is required must be named."""
    properties, more = kept.get("properties"), schema.get("additionalProperties")
    if not properties:
        kept.pop("required", None)
        return kept if more is None else {**kept, "additionalProperties": _others(more)}

    if "required" in kept:
        kept["required"] = [name for name in kept["required"] if name in properties]

    return {"type": "object", **kept, "additionalProperties": _others(more)}


def _others(more: Any) -> Any:
    return simplified(more) if isinstance(more, Mapping) else more is True
