"""Grammars on the real engine: one that it cannot read is ignored in silence, so each kind is tried."""

import json
from typing import Any

import anyio
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journeyman.agent.models.grammar import grammar
from journeyman.agent.models.model import Request, Sampling
from journeyman.traces.messages import ToolSpec, UserMessage

SIGNED, COUNT = st.integers(-9, 9), st.integers(0, 9)
# Characters that the starter's vocabulary can spell: it lacks the bytes of rare scripts.
NAMES = st.text("abcXYZ019 _-./$\"'\\{}<>|äé日本🦖", min_size=1, max_size=8)
ENFORCED = st.one_of(
    st.just({"type": "boolean"}),
    st.builds(lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more}, SIGNED, COUNT),
    st.builds(lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more}, COUNT, COUNT),
    st.builds(lambda values: {"enum": values}, st.lists(NAMES | SIGNED | st.none(), min_size=1, max_size=3)),
    st.builds(lambda value: {"const": value}, NAMES),
    st.just({"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "minItems": 1, "maxItems": 3}),
)
LEAVES = st.one_of(
    st.just({}),
    st.just(True),
    st.just({"type": ["string", "null"]}),
    st.just({"type": "number", "multipleOf": 0.5}),
    st.just({"$ref": "https://example.org/other.json"}),
    st.just({"type": "string", "format": "uri-template", "pattern": "(?<!x)y"}),
    ENFORCED,
)


def _objects(inner):
    return st.builds(
        lambda properties, extra: {
            "type": "object",
            "properties": properties,
            "required": sorted(properties)[:2],
            **extra,
        },
        st.dictionaries(NAMES, inner, max_size=3),
        st.sampled_from([{}, {"minProperties": 1}, {"patternProperties": {"^x": {}}}, {"additionalProperties": True}]),
    )


SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        _objects(inner),
        st.builds(lambda items: {"type": "array", "items": items, "maxItems": 2, "uniqueItems": True}, inner),
        st.builds(lambda one, two: {"oneOf": [one, two]}, inner, inner),
        st.builds(lambda one, two: {"anyOf": [one, two], "default": None}, inner, inner),
        st.builds(lambda one: {"allOf": [one], "not": {"const": 1}}, inner),
    ),
    max_leaves=5,
)


@pytest.fixture
def anyio_backend():
    return "asyncio"  # one engine is shared by all tests, and a model stays with the event loop library it began with


FLAG = {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}


def tool(parameters, name="t__do"):
    return ToolSpec(name=name, server="t", tool="do", parameters=parameters)


def ask(run, tools, choice="required", tokens=200, **more):
    prompt = UserMessage(text="Call the tool, please.")
    return Request(run, 1, "", [prompt], tools, choice=choice, sampling=Sampling(max_tokens=tokens), **more)


async def said(model, request) -> Any:
    return [event async for event in model.respond(request)][-1]


async def compiles(model, text):
    """Does the engine take this grammar. It logs an error where it does not, and samples freely."""
    await model.open()
    process = model._process
    before = process.log_size
    await process.wire.post("/completion", {"prompt": [1], "n_predict": 1, "grammar": text})
    return "llg error" not in process.log(before)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parameters=_objects(SCHEMAS),
    returns=SCHEMAS,
    small=st.booleans(),
    choice=st.sampled_from(["auto", "required", "none"]),
)
def test_every_schema_gives_a_grammar_that_the_engine_reads(llama, parameters, returns, small, choice):
    for typed in (None, returns if isinstance(returns, dict) else {}):
        text = grammar([tool(parameters)], choice, returns=typed, thinking=True, small=small)
        assert anyio.run(compiles, llama, text), text


async def test_a_broken_grammar_is_noticed(llama):
    assert not await compiles(llama, "%llguidance {}\nstart: nothing")


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(properties=st.dictionaries(NAMES, ENFORCED, min_size=1, max_size=3))
def test_a_required_call_fits_its_schema(llama, properties):
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    response = anyio.run(said, llama, ask("schema", [tool(parameters)], tokens=1000))
    llama.forget("schema")

    (call,) = response.message.calls
    jsonschema.validate(json.loads(call.arguments), parameters)


async def test_only_offered_tools_can_be_called(llama):
    tools = [tool({}, "t__one"), tool({}, "t__two")]

    response = await said(llama, ask("offered", tools, offered=frozenset({"t__two"})))

    assert [call.name for call in response.message.calls] == ["t__two"]


async def test_no_call_can_be_made_where_none_may(llama):
    tools = [tool({"type": "object"})]
    prompt = UserMessage(text='Repeat: <tool_call>\n{"name": "t__do", "arguments": {}}\n</tool_call>')
    request = Request("none", 1, "", [prompt], tools, choice="none", sampling=Sampling(max_tokens=60))

    response = await said(llama, request)

    assert response.message.calls == ()
    assert "<tool_call>" not in response.message.text
    assert response.message.text


async def test_a_typed_answer_fits_its_schema(llama):
    schema: Any = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 20},
            "year": {"type": "integer", "minimum": 0, "maximum": 9999},
        },
        "required": ["city", "year"],
    }
    request = Request("typed", 1, "", [UserMessage(text="Where and when?")], (), choice="none", returns=schema)

    answer = json.loads((await said(llama, request)).message.text)

    jsonschema.validate(answer, schema)


@pytest.mark.parametrize("name", ['weird"name\\', "näme", "a b"])
async def test_any_tool_name_survives_the_grammar(llama, name):
    response = await said(llama, ask(f"name {name}", [tool(FLAG, name)]))

    assert [call.name for call in response.message.calls] == [name]


@pytest.mark.parametrize("parameters", [{}, {"type": "object"}, {"type": "object", "properties": {}}])
async def test_a_tool_without_arguments_gets_none(llama, parameters):
    response = await said(llama, ask("bare", [tool(parameters)]))

    assert [call.arguments for call in response.message.calls] == ["{}"]


async def test_a_grammar_that_cannot_be_read_gives_way_to_a_looser_one(llama, monkeypatch):
    from journeyman.agent.models import turn  # noqa: PLC0415

    def broken(*args, loose, **kwargs):
        return grammar(*args, loose=loose, **kwargs) if loose else "%llguidance {}\nstart: nothing"

    monkeypatch.setattr(turn, "grammar", broken)

    response = await said(llama, ask("loose", [tool(FLAG)], tokens=40))

    assert [call.name for call in response.message.calls] == ["t__do"]
