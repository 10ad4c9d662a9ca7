from contextlib import suppress
from enum import Enum
from functools import partial
from pathlib import Path
from threading import Barrier, Event, active_count, get_ident
from typing import Annotated, Literal

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot
from pydantic import BaseModel, Field

from journeyman.errors import ModelNotFound, ServerError, ToolError, UsageError
from journeyman.tools.function import Function, tool
from journeyman.tools.result import LIMIT, capped, output
from journeyman.tools.thread import in_thread
from journeyman.tools.tool import Output, Report
from journeyman.traces.messages import ToolSpec


def silent(text: str, fraction: float | None) -> None:
    pass


@tool
def add(a: int, b: int = 0) -> int:
    """Add two
    numbers.

    More than a model needs.
    """
    return a + b


def refusal(function: Function, arguments: str) -> list[str]:
    with pytest.raises(ToolError) as caught:
        function.parse(arguments)

    return str(caught.value).replace(". It is called as ", ".; ").split("; ")


def test_a_tool_is_offered_as_its_signature_says():
    assert add.spec == ToolSpec(
        name="add",
        server="python",
        tool="add",
        description="Add two numbers.",
        parameters={
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "default": 0}},
            "required": ["a"],
            "additionalProperties": False,
        },
    )


def test_a_tool_stays_the_function_it_was():
    assert (add(1, b=2), add.spec.name, repr(add)) == (3, "add", "<tool python.add>")


def test_options_say_what_a_signature_cannot():
    @tool(name="sum_of", description="Sum.", read_only=True, idempotent=True)
    def anything(numbers: list[int]) -> int:
        return sum(numbers)

    assert anything.spec == ToolSpec(
        name="sum_of",
        server="python",
        tool="sum_of",
        description="Sum.",
        parameters={
            "type": "object",
            "properties": {"numbers": {"type": "array", "items": {"type": "integer"}}},
            "required": ["numbers"],
            "additionalProperties": False,
        },
        read_only=True,
        idempotent=True,
    )


async def test_parsed_arguments_are_canonical_and_hold_only_what_was_given():
    assert add.parse(' {"b": 7.0, "a": "3"} ') == {"a": 3, "b": 7}
    assert add.parse('{"a": 1}') == {"a": 1}
    assert await add.call({"a": 1}, silent) == Output("1", 1)


def test_a_misfit_tells_the_model_what_would_fit():
    assert [refusal(add, text) for text in ('{"a": "x"}', '{"A": 1}', "{", "[1]", "")] == snapshot(
        [
            [
                "a: Input should be a valid integer, unable to parse string as an integer.",
                "add(a: integer, b?: integer)",
            ],
            ["a is missing", "there is no argument 'A'.", "add(a: integer, b?: integer)"],
            [
                "the arguments are not valid JSON: EOF while parsing an object at line 1 column 1.",
                "add(a: integer, b?: integer)",
            ],
            ["Input should be an object.", "add(a: integer, b?: integer)"],
            ["a is missing.", "add(a: integer, b?: integer)"],
        ]
    )


@pytest.mark.parametrize(
    "arguments", ['{"a": NaN}', '{"a": 1e999}', "[" * 5000, '{"a": 1} trailing', '{"a": "' + "9" * 2_000_000 + '"}']
)
def test_hostile_arguments_are_refused(arguments):
    assert refusal(add, arguments)


@given(st.text())
def test_whatever_a_model_writes_is_arguments_or_a_tool_error(text):
    with suppress(ToolError):
        assert set(add.parse(text)) <= {"a", "b"}


@settings(deadline=None)  # a thread waits for its turn
@given(st.integers(), st.integers())
async def test_every_pair_of_integers_survives_the_way_to_the_function(a, b):
    assert (await add.call(add.parse(f'{{"a": {a}, "b": {b}}}'), silent)).text == str(a + b)


class Unit(Enum):
    C = "celsius"
    F = "fahrenheit"


class Place(BaseModel):
    city: str
    near: list[str] = []


async def test_rich_types_reach_the_function_as_themselves():
    seen = []

    @tool
    def weather(
        place: Place,
        unit: Unit,
        deep: Annotated[int, Field(ge=1)] = 1,
        kind: Literal["now", "later"] = "now",
        file: Path | None = None,
    ):
        seen.append((place, unit, deep, kind, file))
        return place

    arguments = weather.parse('{"place": {"city": "Oslo"}, "unit": "celsius", "file": "a/b"}')
    assert arguments == {"place": {"city": "Oslo"}, "unit": "celsius", "file": "a/b"}
    assert await weather.call(arguments, silent) == Output('{"city":"Oslo","near":[]}', {"city": "Oslo", "near": []})
    assert seen == [(Place(city="Oslo"), Unit.C, 1, "now", Path("a/b"))]
    assert refusal(weather, '{"place": {}, "unit": "kelvin", "deep": 0}') == snapshot(
        [
            "place.city is missing",
            "unit: Input should be 'celsius' or 'fahrenheit'",
            "deep: Input should be greater than or equal to 1.",
            (
                'weather(place: {city: string, near?: list[string]}, unit: "celsius"|"fahrenheit", deep?: integer, '
                'kind?: "now"|"later", file?: string)'
            ),
        ]
    )


class Tree(BaseModel):
    leaves: "list[Tree]" = []


def test_types_are_spelled_out_in_place_unless_they_contain_themselves():
    @tool
    def measure(unit: Unit) -> None:
        pass

    @tool
    def climb(tree: Tree) -> None:
        pass

    assert measure.spec.parameters["properties"]["unit"]["enum"] == ["celsius", "fahrenheit"]
    assert climb.spec.parameters["properties"] == {"tree": {"$ref": "#/$defs/Tree"}}
    assert set(climb.spec.parameters["$defs"]) == {"Tree"}


async def test_a_default_that_its_annotation_does_not_allow_is_left_alone():
    @tool
    def greet(name: Annotated[int, Field(ge=1)] = 0) -> str:
        return f"hello {name}"

    assert (await greet.call(greet.parse("{}"), silent)).text == "hello 0"


async def test_parameters_may_be_named_like_the_validator_s_own_things():
    @tool
    def odd(schema: int, copy: int, model_config: int, _x: int = 4) -> list[int]:
        return [schema, copy, model_config, _x]

    assert (await odd.call(odd.parse('{"schema": 1, "copy": 2, "model_config": 3}'), silent)).text == "[1,2,3,4]"


async def test_edited_arguments_are_validated_again():
    with pytest.raises(ToolError, match="a is missing"):
        await add.call({"b": 1}, silent)


async def test_what_a_function_raises_is_text_for_the_model():
    @tool
    def broken(kind: str) -> None:
        if kind == "exit":
            raise SystemExit(3)

        raise {
            "type": TypeError("no such thing"),
            "tool": ToolError("try b"),
            "server": ServerError("gone"),
            "model": ModelNotFound("no model", fix="pull one"),
        }[kind]

    async def failure(kind):
        try:
            await broken.call({"kind": kind}, silent)
        except (ToolError, ServerError) as error:
            return type(error), str(error)

    assert [await failure(kind) for kind in ("type", "tool", "server", "model", "exit")] == [
        (ToolError, "TypeError: no such thing"),
        (ToolError, "try b"),
        (ServerError, "gone"),
        (ToolError, "no model. pull one"),
        (ToolError, "SystemExit: 3"),
    ]


async def test_cancelling_reaches_an_async_function():
    stopped = []

    @tool
    async def forever() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append(True)

    with anyio.move_on_after(0.05) as scope:
        await forever.call({}, silent)

    assert (scope.cancelled_caught, stopped) == (True, [True])


async def test_a_plain_function_that_never_returns_can_be_left():
    release = Event()

    @tool
    def stuck() -> None:
        release.wait()

    with anyio.move_on_after(0.05) as scope:
        await stuck.call({}, silent)

    release.set()
    assert scope.cancelled_caught


async def test_a_plain_function_stops_nothing_however_quick_it_was_before():
    release = Event()

    @tool
    def stuck(now: bool) -> None:
        if now:
            release.wait()

    for _ in range(5):
        await stuck.call({"now": False}, silent)

    with anyio.move_on_after(0.05) as scope:
        await stuck.call({"now": True}, silent)

    release.set()
    assert scope.cancelled_caught


async def test_threads_serve_one_call_after_another_and_many_at_once():
    before = active_count()
    assert [await in_thread(partial(int, n)) for n in range(100)] == list(range(100))
    assert active_count() <= before + 1
    here, eight = {}, Barrier(8)

    async def one(n: int) -> None:
        here[n] = await in_thread(partial(meet, eight))

    async with anyio.create_task_group() as group:
        for n in range(8):
            group.start_soon(one, n)

    assert len(set(here.values())) == 8


async def test_where_a_function_runs_can_be_laid_down():
    here = tool(thread=False)(get_ident_of_caller)
    there = tool(thread=True)(get_ident_of_caller)
    assert await run_often(here) == {True}
    assert await run_often(there) == {False}


def meet(others: Barrier) -> int:
    others.wait(10)
    return get_ident()


def get_ident_of_caller() -> int:
    return get_ident()


async def run_often(function):
    return {(await function.call({}, silent)).text == str(get_ident()) for _ in range(6)}


async def test_an_async_function_and_a_partial_of_one_stay_on_the_loop():
    async def ident(_unused: int = 0) -> int:
        return get_ident()

    assert await run_often(tool(ident)) == {True}
    assert await run_often(tool(name="bound")(partial(ident))) == {True}


async def test_a_function_tells_how_far_it_is():
    @tool
    def count(upto: int, report: Report) -> str:
        for n in range(upto):
            report(f"at {n}", n / upto)

        return "done"

    told = []
    assert list(count.spec.parameters["properties"]) == ["upto"]
    assert await count.call({"upto": 2}, lambda *word: told.append(word)) == Output("done")
    assert told == [("at 0", 0.0), ("at 1", 0.5)]


def generator(n: int):
    yield n


def positional(a: int, /) -> int:
    return a


def variadic(*numbers: int) -> int:
    return sum(numbers)


def opaque(thread: Event) -> None:
    pass


def forward(a) -> None:
    pass


forward.__annotations__["a"] = "Nowhere"


class Thing:
    def method(self, a: int) -> int:
        return a


@pytest.mark.parametrize(
    "function",
    [generator, positional, variadic, opaque, forward, Thing.method, lambda a: a],
    ids=lambda each: each.__name__,
)
def test_a_signature_that_no_model_could_use_is_refused_at_once(function):
    with pytest.raises(UsageError) as caught:
        tool(function)

    assert caught.value.fix


async def test_bound_methods_and_unannotated_parameters_will_do():
    assert await tool(Thing().method).call({"a": 2}, silent) == Output("2", 2)

    @tool
    def echo(anything):
        return anything

    assert await echo.call(echo.parse('{"anything": [1, null]}'), silent) == Output("[1,null]", [1, None])


def test_a_large_result_is_cut_and_says_so():
    text = "é" * LIMIT
    assert output(text) == Output("é" * (LIMIT // 2) + f"\n[{LIMIT:,} of {2 * LIMIT:,} bytes left out]")
    assert output(["x" * LIMIT]).data is None


def test_a_result_that_json_cannot_hold_is_the_tool_s_error():
    with pytest.raises(ToolError, match="returned a object"):
        output(object())


@given(st.text(), st.integers(1, 50))
def test_capped_text_can_be_stored_and_loses_nothing_unsaid(text, limit):
    shown = capped(text, limit)
    shown.encode()
    assert shown.endswith("bytes left out]") or len(shown.encode()) <= limit


def test_unpaired_surrogates_are_spelled_out():
    assert capped("a\udce9b") == "a\\udce9b"


async def test_a_thread_sees_its_caller_s_context_and_hands_errors_back():
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await in_thread(fail)
