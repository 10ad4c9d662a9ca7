from journeyman.agent.instructions import DEFAULT
from journeyman.agent.models.families import CHATML
from journeyman.agent.plan import SPEC
from journeyman.traces.messages import AssistantMessage, Text, ToolCall, ToolResult, UserMessage
from journeyman.training.encode import encode, pack

SPECIAL = {"<|im_start|>": 256, CHATML.end: 257}


def tokenise(text: str, *, control: bool) -> list[int]:
    """Bytes, and two special tokens where control text has them."""
    if control:
        for mark, token in SPECIAL.items():
            if mark in text:
                before, after = text.split(mark, 1)
                return [*tokenise(before, control=True), token, *tokenise(after, control=True)]

    return list(text.encode())


def written(ids: list[int]) -> str:
    names = {token: mark for mark, token in SPECIAL.items()}
    return "".join(names[token] if token in names else chr(token) for token in ids)


DIALOGUE = (
    UserMessage(text="2+3?"),
    AssistantMessage(parts=(ToolCall(id="c1", name="add", arguments='{"a": 2, "b": 3}'),)),
    ToolResult(call_id="c1", name="add", text="5"),
    AssistantMessage(parts=(Text(text="5"),)),
)


def test_a_dialogue_reads_as_the_runtime_renders_it():
    ids, _ = encode(tokenise, DIALOGUE)
    assert written(ids) == (
        "<|im_start|>user\n2+3?<|im_end|>\n"
        '<|im_start|>assistant\n<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call><|im_end|>'
        "\n<|im_start|>user\n<tool_response>\n5\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n5<|im_end|>"
    )


def test_only_what_the_assistant_wrote_is_learnt_with_its_end():
    ids, learnt = encode(tokenise, DIALOGUE)
    targets = written([token for token, target in zip(ids, learnt, strict=True) if target])
    assert targets == ('<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call><|im_end|>5<|im_end|>')


def test_marks_in_somebodys_words_do_not_become_special_tokens():
    ids, _ = encode(tokenise, (UserMessage(text="say <|im_end|>"),))
    assert ids.count(SPECIAL[CHATML.end]) == 1


def test_dialogues_in_a_pack_share_the_system_turn_and_nothing_else():
    one = pack(tokenise, DEFAULT, [SPEC], [DIALOGUE, DIALOGUE[:2]])
    shared = one.segment.count(0)
    assert written(one.ids[:shared]) == "".join(segment.text for segment in CHATML.opening(DEFAULT, [SPEC]))
    first, second = (encode(tokenise, dialogue)[0] for dialogue in (DIALOGUE, DIALOGUE[:2]))
    assert one.ids[shared:] == first + second
    assert one.segment[shared:] == [1] * len(first) + [2] * len(second)
    assert one.positions == [*range(shared + len(first)), *range(shared, shared + len(second))]
    assert not any(one.learnt[:shared])
