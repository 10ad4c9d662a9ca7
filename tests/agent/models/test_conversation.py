from dataclasses import replace

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeyman.agent.models.conversation import Completion, Conversation
from journeyman.agent.models.examples import examples
from journeyman.agent.models.families import CHATML
from journeyman.agent.models.model import Request
from journeyman.agent.models.renderer import signature
from journeyman.traces.messages import (
    AssistantMessage,
    Text,
    Tokens,
    TokenSpan,
    ToolCall,
    ToolResult,
    ToolSpec,
    UserMessage,
)

END, OTHER_END = 100_000, 100_001


async def spelled(segments, start):
    """A tokeniser of one id a character, with a mark where a sequence begins."""
    return [0] * start + [ord(character) for segment in segments for character in segment.text]


def ask(messages, step=1):
    return Request("r", step, "Be kind.", messages, ())


def answer(text):
    return AssistantMessage(parts=(Text(text=text),))


async def turn(conversation, messages, completion, said):
    request = ask(messages)
    prompt = await conversation.prompt(request, spelled)
    return prompt, conversation.answered(request, prompt, completion, said)


HELLO = UserMessage(text="Hello.")


async def test_a_first_prompt_is_a_root():
    prompt, tokens = await turn(Conversation(CHATML, [END]), [HELLO], Completion([1, 2, END], ended=True), answer("x"))

    assert prompt.ids[0] == 0
    assert tokens == Tokens(
        level="tokens",
        root=True,
        spans=(TokenSpan(kind="context", ids=tuple(prompt.ids)), TokenSpan(kind="sampled", ids=(1, 2, END))),
    )


async def test_another_end_of_text_token_is_replaced_by_the_formats_own():
    conversation = Conversation(CHATML, [END])
    first, tokens = await turn(conversation, [HELLO], Completion([1, OTHER_END], ended=True), answer("x"))
    second, _ = await turn(conversation, [HELLO, answer("x"), HELLO], Completion([2, END], ended=True), answer("y"))

    assert tokens.spans[1:] == (TokenSpan(kind="sampled", ids=(1,)), TokenSpan(kind="forced", ids=(END,)))
    assert second.ids[: len(first.ids) + 2] == [*first.ids, 1, END]
    assert not second.root


async def test_a_cut_turn_is_ended_by_the_next_context():
    conversation = Conversation(CHATML, [END])
    await turn(conversation, [HELLO], Completion([1, 2], ended=False), answer("x"))
    second, _ = await turn(conversation, [HELLO, answer("x"), HELLO], Completion([END], ended=True), answer("y"))

    assert second.new[:2] == [END, ord("\n")]


async def test_after_ids_were_lost_a_new_sequence_begins():
    conversation = Conversation(CHATML, [END])
    _, tokens = await turn(conversation, [HELLO], Completion([1], ended=True, exact=False), answer("x"))
    second, _ = await turn(conversation, [HELLO, answer("x"), HELLO], Completion([END], ended=True), answer("y"))

    assert tokens == Tokens(level="text", root=True)
    assert second.root


@pytest.mark.parametrize(
    "messages",
    [
        [HELLO],
        [HELLO, answer("changed"), HELLO],
        [UserMessage(text="Another question."), HELLO],
    ],
)
async def test_what_does_not_go_on_from_the_answer_begins_a_new_sequence(messages):
    conversation = Conversation(CHATML, [END])
    await turn(conversation, [HELLO], Completion([1, END], ended=True), answer("x"))

    assert (await conversation.prompt(ask(messages), spelled)).root


async def test_other_instructions_begin_a_new_sequence():
    conversation = Conversation(CHATML, [END])
    await turn(conversation, [HELLO], Completion([1, END], ended=True), answer("x"))
    request = Request("r", 2, "Be quick.", [HELLO, answer("x"), HELLO], ())

    assert (await conversation.prompt(request, spelled)).root


async def test_examples_come_before_the_conversation():
    prompt = await Conversation(CHATML, [END]).prompt(
        ask([HELLO]), spelled, [UserMessage(text="Example?"), answer("Yes.")]
    )

    text = "".join(map(chr, prompt.ids[1:]))
    assert text.index("Example?") < text.index("Yes.") < text.index("Hello.")


COMPLETIONS = st.builds(
    lambda ids, end: Completion([*ids, *end], ended=bool(end)),
    st.lists(st.integers(1, 99), max_size=4),
    st.sampled_from([[], [END], [OTHER_END]]),
)


@given(st.lists(st.tuples(st.text(max_size=5), COMPLETIONS), min_size=1, max_size=5))
def test_spans_joined_are_every_prompt_and_its_completion(turns):
    async def talk():
        conversation, messages, seen = Conversation(CHATML, [END]), [], []
        for n, (text, completion) in enumerate(turns):
            messages = [*messages, UserMessage(text=text)]
            prompt, tokens = await turn(conversation, messages, completion, answer(str(n)))
            assert prompt.root == (n == 0)
            seen += [token for span in tokens.spans if span.kind == "context" for token in span.ids]
            assert seen == prompt.ids
            seen += [token for span in tokens.spans if span.kind != "context" for token in span.ids]
            messages = [*messages, answer(str(n))]

    anyio.run(talk)


async def test_the_schema_of_the_answer_is_told_and_nothing_where_there_is_none():
    plain = ask([HELLO])
    typed = replace(plain, returns={"type": "integer"})

    opening, longer = [(await Conversation(CHATML, [END]).prompt(each, spelled)).ids for each in (plain, typed)]

    head = await spelled(CHATML.opening("Be kind.", ()), True)
    told = [
        ord(character) for character in '\n\nYour final answer must be JSON that fits this schema: {"type": "integer"}'
    ]
    at = head.index(ord("B")) + len("Be kind.")
    assert opening[: len(head)] == head
    assert longer == [*opening[:at], *told, *opening[at:]]


def test_a_stranger_is_shown_with_the_example_in_its_own_schema():
    about = {"type": "object", "properties": {"city": {"type": "string"}}, "examples": [{"city": "Oslo"}]}
    weather = ToolSpec(name="w__now", server="w", tool="now", description="Weather now.\nFrom far.", parameters=about)

    assert examples([weather, weather.model_copy(update={"parameters": {}})]) == (
        UserMessage(text="For example: Weather now."),
        AssistantMessage(parts=(ToolCall(id="e0", name="w__now", arguments='{"city": "Oslo"}'),)),
        ToolResult(call_id="e0", name="w__now", text="ok"),
        AssistantMessage(parts=(Text(text="Done."),)),
    )


def test_a_signature_tells_what_is_inside_of_objects_lists_and_unions():
    place = {
        "type": "object",
        "properties": {"lat": {"type": "number"}, "name": {"type": "string"}},
        "required": ["lat"],
    }
    fields = {
        "at": place,
        "via": {"type": "array", "items": place},
        "kind": {"enum": ["car", "foot"]},
        "speed": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    }
    route = ToolSpec(name="route", server="python", tool="route", parameters={"properties": fields, "required": ["at"]})

    assert signature(route) == (
        "route(at: {lat: number, name?: string}, via?: list[{lat: number, name?: string}],"
        ' kind?: "car"|"foot", speed?: integer) - '
    )
