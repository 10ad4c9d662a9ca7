import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import recursive

from journeyman.errors import ToolError
from journeyman.tools.schema import LARGEST, Schema, broken
from journeyman.traces.messages import ToolSpec

PARAMETERS = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "maxLength": 5},
        "lines": {"type": "array", "items": {"type": "integer"}},
        "mode": {"enum": ["r", "w"]},
    },
    "required": ["path"],
    "additionalProperties": False,
}
SPEC = ToolSpec(name="files__open", server="files", tool="open", parameters=PARAMETERS)
CALLED = ". It is called as files__open(path: string, lines?: list[integer], mode?: 'r'|'w')"


def test_arguments_that_fit_come_back_as_they_are():
    assert Schema(SPEC).parse('{"path": "a", "lines": [1, 2]}') == {"path": "a", "lines": [1, 2]}
    assert Schema(ToolSpec(name="x", server="x", tool="x", parameters={"type": "object"})).parse(" ") == {}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ("{}", "path is missing"),
        ('{"path": 1}', "path: 1 is not of type 'string'"),
        ('{"path": "a", "pth": 1}', "there is no argument 'pth', did you mean 'path'?"),
        ('{"path": "a", "lines": [1, "x"]}', "lines.1: 'x' is not of type 'integer'"),
        ('{"path": "a", "mode": "x"}', "mode: 'x' is not one of ['r', 'w']"),
        ('{"path": "123456"}', "path: '123456' is too long"),
        ("[]", "the arguments must be an object"),
        (
            "{",
            "the arguments are not valid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",  # noqa: E501
        ),
        ('{"path": NaN}', "the arguments are not valid JSON: NaN is not JSON"),
    ],
)
def test_a_misfit_is_told_with_what_would_fit(arguments, problem):
    with pytest.raises(ToolError) as caught:
        Schema(SPEC).parse(arguments)

    assert str(caught.value) == problem + CALLED


def test_only_the_first_problems_are_told_and_long_values_are_cut():
    with pytest.raises(ToolError) as caught:
        Schema(SPEC).parse('{"path": "' + "x" * 5000 + '", "lines": ["a", "b", "c", "d"]}')

    assert len(str(caught.value)) < 600
    assert "and 2 more" in str(caught.value)


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
        try:
            assert Schema(spec).parse("{}") == {}
        except ToolError as error:
            assert "schema is broken" in str(error)  # noqa: PT017


def test_schemas_that_no_model_should_read_are_broken():
    deep: dict = {}
    for _ in range(5000):
        deep = {"properties": {"a": deep}}

    assert broken({"description": "x" * LARGEST}).startswith("its schema is 65,")
    assert broken(deep) == "its schema is nested too deeply"
    assert "not valid" in broken({"type": "nonsense"})
    assert broken(PARAMETERS) == ""
