import json

import anyio
import pytest
from dirty_equals import IsStr
from inline_snapshot import snapshot

from journeyman.agent.models.model import Request
from journeyman.agent.models.scripted import ScriptedModel, load_script
from journeyman.errors import ModelError, ModelNotFound
from journeyman.traces.events import ModelDelta, ModelResponded
from journeyman.traces.messages import AssistantMessage, Text, Thinking, ToolCall, ToolResult, Usage, UserMessage

PROMPT = UserMessage(text="What is 6 * 7?")


def ask(step=1, run="r", messages=(PROMPT,)):
    return Request(run_id=run, step=step, instructions="", messages=messages, tools=())


async def played(model, request):
    return [event async for event in model.respond(request)]


async def said(model, request):
    return (await played(model, request))[-1].message


async def test_a_text_item_is_the_final_answer():
    assert await played(ScriptedModel(["It is 42."]), ask()) == snapshot(
        [
            ModelDelta(kind="text", text="It is 42."),
            ModelResponded(
                step=1,
                message=AssistantMessage(parts=(Text(text="It is 42."),)),
                usage=Usage(prompt_tokens=4, completion_tokens=3),
                cost_usd=0.0,
            ),
        ]
    )


async def test_an_item_may_be_a_list_of_thoughts_words_and_calls():
    model = ScriptedModel(
        [[{"thinking": "hm"}, "Let me see.", {"tool": "add", "arguments": {"a": 1}}, {"tool": "add", "arguments": "{"}]]
    )

    assert (await said(model, ask())).parts == (
        Thinking(text="hm"),
        Text(text="Let me see."),
        ToolCall(id="c1", name="add", arguments='{"a": 1}'),
        ToolCall(id="c1_2", name="add", arguments="{"),
    )


async def test_every_run_hears_the_script_from_its_start():
    model = ScriptedModel(["one", "two"])

    words = [(await said(model, ask(step, run))).text for step in (1, 2) for run in ("a", "b")]

    assert words == ["one", "one", "two", "two"]


async def test_a_step_past_the_end_is_a_model_error():
    with pytest.raises(ModelError, match="it has 1 items and step 2 was asked for"):
        await said(ScriptedModel(["one"]), ask(2))


async def test_an_exception_is_raised():
    with pytest.raises(ModelError, match="no more credit"):
        await said(ScriptedModel([ModelError("no more credit")]), ask())


async def test_a_function_sees_the_request():
    model = ScriptedModel(lambda request: f"{request.run_id} {request.step}")

    assert (await said(model, ask(7, "x"))).text == "x 7"


async def test_only_new_messages_are_counted():
    model = ScriptedModel(["a", "b"])
    await said(model, ask(1))
    result = ToolResult(call_id="c1", name="t", text="x" * 400)

    response = (await played(model, ask(2, messages=[PROMPT, result])))[-1]

    assert response.usage == Usage(prompt_tokens=105, completion_tokens=1)


async def test_a_delay_can_be_cancelled():
    with anyio.move_on_after(0.01) as scope:
        await said(ScriptedModel(["late"], delay=30), ask())

    assert scope.cancelled_caught


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(["one", {"tool": "t", "arguments": {}}]),
        '"one"\n\n{"tool": "t", "arguments": {}}\n',
        '["one"]\n[{"tool": "t", "arguments": {}}]\n',
    ],
)
async def test_a_script_file_is_json_or_jsonl(tmp_path, text):
    path = tmp_path / "script.jsonl"
    path.write_text(text, encoding="utf-8")
    model = load_script(path)

    assert [(await said(model, ask(step))).parts for step in (1, 2)] == [
        (Text(text="one"),),
        (ToolCall(id="c2", name="t", arguments="{}"),),
    ]


async def test_a_script_file_can_fail(tmp_path):
    path = tmp_path / "script.json"
    path.write_text('[{"error": "overloaded"}]', encoding="utf-8")

    with pytest.raises(ModelError, match="overloaded"):
        await said(load_script(path), ask())


@pytest.mark.parametrize("text", ["[1]", "{", "[" * 100_000, '[{"tol": "x"}]', "\xff"])
def test_a_bad_script_says_what_a_script_is(tmp_path, text):
    path = tmp_path / "script.json"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(ModelNotFound, match="script") as caught:
        load_script(path)

    assert caught.value.fix == IsStr(regex="A script is a JSON array, or .*")


def test_a_missing_script_is_not_found(tmp_path):
    with pytest.raises(ModelNotFound, match="cannot be read"):
        load_script(tmp_path / "none.json")
