import json
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import recursive

from journeyman.errors import ToolError
from journeyman.tools.arguments import shape
from journeyman.tools.schema import LARGEST, Schema, broken
from journeyman.traces.messages import ToolSpec

PARAMETERS = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "pattern": "^(a+)+$"},
        "lines": {"type": "array", "items": {"type": "integer"}},
        "mode": {"enum": ["r", "w"]},
    },
    "required": ["path"],
    "additionalProperties": False,
}
SPEC = ToolSpec(name="files__open", server="files", tool="open", parameters=PARAMETERS)
CALLED = '. It is called as files__open(path: string, lines?: list[integer], mode?: "r"|"w")'


def test_arguments_that_fit_come_back_as_they_are():
    assert Schema(SPEC).parse('{"path": "a", "lines": [1, 2]}') == {"path": "a", "lines": [1, 2]}
    assert Schema(ToolSpec(name="x", server="x", tool="x", parameters={"type": "object"})).parse(" ") == {}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("{}", "path is missing"),
        ('{"path": 1}', "path: 1 is not of type 'string'"),
        ('{"path": "a", "pth": 1}', "there is no argument 'pth' (did you mean 'path'?)"),
        ('{"path": "a", "lines": "x"}', "lines: 'x' is not of type 'array'"),
        ('{"path": "a", "mode": "x"}', "mode: 'x' is not one of ['r', 'w']"),
        ("[]", "the arguments must be an object"),
        ("{", "the arguments are not valid JSON: EOF while parsing an object at line 1 column 1"),
        ('{"path": NaN}', "the arguments are not valid JSON: expected value at line 1 column 10"),
        (
            '{"path": "\\ud800"}',
            "the arguments are not valid JSON: unexpected end of hex escape at line 1 column 17",
        ),
    ],
)
def test_a_misfit_is_told_with_what_would_fit(arguments, problem):
    with pytest.raises(ToolError) as caught:
        Schema(SPEC).parse(arguments)

    assert str(caught.value) == problem + CALLED


def test_only_the_first_problems_are_told_and_long_values_are_cut():
    with pytest.raises(ToolError) as caught:
        Schema(SPEC).parse(json.dumps({"path": ["x" * 5000], "lines": 1, "mode": 2, "a": 3, "b": 4}))

    assert len(str(caught.value)) < 600
    assert "and 2 more" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "fitting", "misfit"),
    [
        ("integer", [1, 1.0], [1.5, True, "1"]),
        ("number", [1, 1.5], [True, "1"]),
        ("boolean", [True], [1, "true"]),
        ("null", [None], [0]),
        (["string", "null"], ["x", None], [1]),
        ("object", [{}], [[]]),
    ],
)
def test_types_are_those_of_json(kind, fitting, misfit):
    schema = Schema(ToolSpec(name="x", server="x", tool="x", parameters={"properties": {"a": {"type": kind}}}))
    for value in fitting:
        schema.check({"a": value})

    for value in misfit:
        with pytest.raises(ToolError):
            schema.check({"a": value})


def test_each_missing_argument_is_named_once():
    spec = ToolSpec(name="x", server="x", tool="x", parameters={"properties": {}, "required": ["a", "b"]})
    with pytest.raises(ToolError) as caught:
        Schema(spec).parse("{}")

    assert str(caught.value).startswith("a is missing; b is missing. ")


def test_no_schema_takes_longer_than_it_is_long():
    doubled = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n - 1}"}] * 2} for n in range(1, 40)}
    schema = {"type": "object", "$defs": doubled, "properties": {"a": {"$ref": "#/$defs/a39"}}}
    started = time.process_time()
    assert broken(schema) == ""
    Schema(ToolSpec(name="x", server="x", tool="x", parameters=schema)).parse('{"a": 1}')
    Schema(SPEC).parse(json.dumps({"path": "a" * 40 + "b"}))
    assert time.process_time() - started < 5


@pytest.mark.parametrize("arguments", ["[" * 100_000, "9" * 10_000, "x" * 2_000_000])
def test_hostile_arguments_are_refused_at_once(arguments):
    with pytest.raises(ToolError):
        Schema(SPEC).parse(arguments)


JSON = recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_any_schema_is_usable_or_told_to_be_broken(value):
    schema = {"type": "object", "properties": {"a": value}}
    if not broken(schema):
        spec = ToolSpec(name="x", server="x", tool="x", parameters=schema)
        assert Schema(spec).parse("{}") == {}
        assert shape(schema)
        with suppress(ToolError):
            assert Schema(spec).parse('{"a": 1}') == {"a": 1}


def test_schemas_that_no_model_should_read_are_broken():
    deep: dict = {}
    for _ in range(500):
        deep = {"properties": {"a": deep}}

    assert broken({"description": "x" * LARGEST}).startswith("its schema is 65,")
    assert broken(deep) == "its schema is nested too deeply"
    assert broken({"type": "nonsense"}) == "its schema is not valid: there is no type 'nonsense'"
    assert broken({"properties": {"a": {"required": 3}}}) == "its schema is not valid: required is no list"
    assert broken({"properties": {"a": {"anyOf": [7]}}}) == "its schema is not valid: 7 is no schema"
    assert broken(PARAMETERS) == ""
