"""Two short dialogues shown to a small model that was never taught these tools: they bring it to call at all.

Trained models do without: a small model copies numbers out of what it is shown. A tool of somebody else's is shown with
the first of the `examples` in its own schema, where it has some.
"""

import json
from collections.abc import Sequence

from journeyman.traces.messages import AssistantMessage, Message, Text, ToolCall, ToolResult, ToolSpec, UserMessage

SHOWN = 2

DIALOGUES = {
    "calculator.calculate": (
        "How much is 15 boxes of 24 pens, less 7 pens?",
        '{"expression": "15 * 24 - 7"}',
        "353",
        "353",
    ),
    "files.info": (
        "How many words does letter.txt have?",
        '{"path": "letter.txt"}',
        "letter.txt: 9 lines, 88 words, 502 bytes",
        "88",
    ),
    "search.search": (
        "When does the library close?",
        '{"query": "library close"}',
        "places.md:14: The library closes at 18:30.",
        "18:30",
    ),
    "code.python": (
        "Run this Python: print(len('abc'))",
        '{"code": "print(len(\'abc\'))"}',
        "3",
        "3",
    ),
}


def examples(tools: Sequence[ToolSpec]) -> tuple[Message, ...]:
    """Dialogues with tools that are among `tools`; none where they are all strangers without examples."""
    known = [tool for tool in tools if tool.identity in DIALOGUES or _own(tool)][:SHOWN]
    return tuple(message for n, tool in enumerate(known) for message in _dialogue(f"e{n}", tool))


def _dialogue(call_id: str, tool: ToolSpec) -> tuple[Message, ...]:
    question, arguments, result, answer = DIALOGUES.get(tool.identity) or _own(tool)
    return (
        UserMessage(text=question),
        AssistantMessage(parts=(ToolCall(id=call_id, name=tool.name, arguments=arguments),)),
        ToolResult(call_id=call_id, name=tool.name, text=result),
        AssistantMessage(parts=(Text(text=answer),)),
    )


def _own(tool: ToolSpec) -> tuple[str, ...]:
    """A dialogue from the tool's own example; it tells no result, so none is made up."""
    given = tool.parameters.get("examples")
    first = given[0] if isinstance(given, list) and given else None
    if not isinstance(first, dict):
        return ()

    about = tool.description.strip().split("\n", 1)[0] or tool.name
    return f"For example: {about}", json.dumps(first, ensure_ascii=False), "ok", "Done."
