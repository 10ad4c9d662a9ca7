from journeyman.agent.instructions import DEFAULT
from journeyman.agent.models.families import CHATML, GEMMA, HARMONY
from journeyman.agent.plan import SPEC
from journeyman.traces.messages import AssistantMessage, Text, ToolCall, ToolResult, UserMessage
from journeyman.training.encode import encode

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
    ids, _ = encode(tokenise, CHATML, DIALOGUE)
    assert written(ids) == (
        "<|im_start|>user\n2+3?<|im_end|>\n"
        '<|im_start|>assistant\n<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call><|im_end|>'
        "\n<|im_start|>user\n<tool_response>\n5\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n5<|im_end|>"
    )


def test_only_what_the_assistant_wrote_is_learnt_with_its_end():
    ids, learnt = encode(tokenise, CHATML, DIALOGUE)
    targets = written([token for token, target in zip(ids, learnt, strict=True) if target])
    assert targets == ('<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call><|im_end|>5<|im_end|>')


def test_marks_in_somebodys_words_do_not_become_special_tokens():
    ids, _ = encode(tokenise, CHATML, (UserMessage(text="say <|im_end|>"),))
    assert ids.count(SPECIAL[CHATML.end]) == 1


def test_results_of_one_step_follow_each_other_as_the_runtime_sends_them():
    calls = AssistantMessage(parts=tuple(ToolCall(id=f"c{n}", name="add", arguments="{}") for n in (1, 2)))
    results = [ToolResult(call_id=f"c{n}", name="add", text=str(n)) for n in (1, 2)]
    ids, _ = encode(tokenise, CHATML, (*DIALOGUE[:1], calls, *results, AssistantMessage(parts=(Text(text="2"),))))
    assert written(ids).endswith("".join(segment.text for segment in CHATML.more(results)) + "2<|im_end|>")


def test_a_family_without_a_system_turn_reads_its_instructions_in_the_first_question():
    ids, _ = encode(tokenise, GEMMA, DIALOGUE[:1], DEFAULT, [SPEC])
    assert written(ids) == "".join(segment.text for segment in GEMMA.prompt(DEFAULT, [SPEC], DIALOGUE[:1]))


def test_the_last_turn_ends_with_what_the_model_draws_and_earlier_ones_with_what_stays():
    answer = AssistantMessage(parts=(Text(text="5"),))
    ids, _ = encode(tokenise, HARMONY, (DIALOGUE[0], answer, UserMessage(text="Sure?"), answer))
    assert written(ids).count("<|return|>") == 1
    assert written(ids).endswith("5<|return|>")
