import json
import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from journeyman.agent.models.families import CHATML
from journeyman.agent.models.parse import Parser
from journeyman.traces.messages import AssistantMessage, Part, Text, Thinking, ToolCall

NAMES = frozenset({"add"})


def parsed(*pieces):
    parser = Parser(1, NAMES)
    for piece in pieces:
        parser.feed(piece)

    return parser.finish()


def call(arguments, name="add", n=1):
    return ToolCall(id="c1" if n == 1 else f"c1_{n}", name=name, arguments=arguments)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Hello.", (Text(text="Hello."),)),
        ("", ()),
        (" \n ", ()),
        ("<think>\nHm.\n</think>\n\nHello.", (Thinking(text="Hm."), Text(text="Hello."))),
        ("<think>Hm", (Thinking(text="Hm"),)),
        ("Hm.</think>Hello.", (Thinking(text="Hm."), Text(text="Hello."))),
        ('<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>', (call('{"a": 1}'),)),
        ('<tool_call>{"name":"add","arguments":{"a":{}}}', (call('{"a":{}}'),)),
        ('<tool_call>{"arguments": {"a": 1}, "name": "add"}</tool_call>', (call('{"a": 1}'),)),
        ('<tool_call>{"name": "add", "parameters": {}}</tool_call>', (call("{}"),)),
        ('<tool_call>{"name": "add"}</tool_call>', (call("{}"),)),
        ('<tool_call>{"name": "add", "arguments": "{\\"a\\": 1}"}</tool_call>', (call('{"a": 1}'),)),
        ('<tool_call>{"name": "add", "arguments": {"a": }}</tool_call>', (call('{"a": }'),)),
        ('<tool_call>{"name": "add", "argum</tool_call>', (call('{"name": "add", "argum'),)),
        ("<tool_call>add 1 and 2</tool_call>", (call("add 1 and 2", ""),)),
        (
            """So:\n<tool_call>{"name": "add", "arguments": {}}</tool_call>
            <tool_call>{"name": "add", "arguments": {"a": 2}}</tool_call>""",
            (Text(text="So:"), call("{}"), call('{"a": 2}', n=2)),
        ),
        ('{"name": "add", "arguments": {"a": 1}}', (call('{"a": 1}'),)),
        ('```json\n{"name": "add", "arguments": {"a": 1}}\n```', (call('{"a": 1}'),)),
        ('{"name": "Ann", "arguments": {}}', (Text(text='{"name": "Ann", "arguments": {}}'),)),
        ('{"name": "add"', (Text(text='{"name": "add"'),)),
        (r'<tool_call>{"name": "\x", "arguments": {}}</tool_call>', (call(r'{"name": "\x", "arguments": {}}', ""),)),
        ("<tool_call>" + "[" * 100_000, (call("[" * 100_000, ""),)),
        ("1 < 2 and <b>", (Text(text="1 < 2 and <b>"),)),
        (
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hello.<|return|>",
            (Thinking(text="Hm."), Text(text="Hello.")),
        ),
    ],
)
def test_a_turn_is_read_into_its_parts(text, parts):
    assert parsed(text) == parts


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<tool_call>{"name":"add","arguments":{"x":"', "</tool_call>"),
        ('<tool_call>{"name":"add","arguments":', "x</tool_call>"),
        ('<tool_call>{"name":', "</tool_call>"),
        ("```", "{} x"),
        ("```{}", "x"),
    ],
)
def test_any_number_of_spaces_is_read_at_once(before, after):
    started = time.process_time()
    parsed(before + " " * 200_000 + after)

    assert time.process_time() - started < 5


MARKED = st.lists(
    st.sampled_from(
        [
            "<think>",
            "</think>",
            "<tool_call>",
            "</tool_call>",
            '{"name": "add", "arguments": {}}',
            "a ",
            "<",
            "\n",
            "<|channel|>analysis<|message|>",
            "<|end|>",
            "<|start|>assistant",
            "<|channel|>final<|message|>",
            "<|",
        ]
    )
).map("".join)


@given(MARKED, st.lists(st.integers(0, 60), max_size=6))
@example("<tool_call", [1, 2])
def test_where_the_pieces_are_cut_makes_no_difference(text, cuts):
    edges = [0, *sorted(cut for cut in cuts if cut <= len(text)), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]

    assert parsed(*pieces) == parsed(text)


@given(st.text(st.characters(exclude_characters="<", codec="utf-8")))
def test_text_without_tags_is_shown_at_once_and_whole(text):
    parser = Parser(1)

    assert "".join(delta.text for delta in parser.feed(text)) == text
    assert parser.rest() == []


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="<`{"), min_size=1).map(str.strip).filter(bool)
OBJECTS = st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=5), max_size=2)


@given(st.none() | WORDS, st.none() | WORDS, st.lists(OBJECTS, max_size=2))
def test_what_is_rendered_is_read_back(thinking, text, arguments):
    parts: list[Part] = [Thinking(text=thinking)] if thinking else []
    parts += [Text(text=text)] if text else []
    calls = [json.dumps(each).replace("<", "\\u003c") for each in arguments]
    parts += [call(each, n=n) for n, each in enumerate(calls, 1)]
    message = AssistantMessage(parts=tuple(parts))

    text = "".join(segment.text for segment in CHATML.completion(message))
    assert parsed(text) == message.parts
