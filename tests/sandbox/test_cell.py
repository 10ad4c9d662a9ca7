import ast
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeyman.sandbox.cell import cell


@pytest.mark.parametrize(
    ("code", "source"),
    [
        ("1 + 1", "_ = (1 + 1\n)\nNone"),
        ("x = 3", "x = 3\nNone"),
        ("x = 1; x + 1", "x = 1; _ = (x + 1\n)\nNone"),
        ("x = 1\r\nx  # it", "x = 1\n_ = (x\n)\nNone"),
        ("'é'; 'ü' + 'é';", "'é'; _ = ('ü' + 'é'\n)\nNone"),
        ("f(\n  1,\n)", "_ = (f(\n  1,\n)\n)\nNone"),
        ("(1 + 2)", "_ = ((1 + 2)\n)\nNone"),
        ("x = 1; (x)", "x = 1; _ = ((x)\n)\nNone"),
        ("def f(:", "def f(:\nNone"),
        ("", "\nNone"),
        ("for x in y:\n  x", "for x in y:\n  x\nNone"),
    ],
)
def test_the_last_expression_is_kept(code: str, source: str) -> None:
    assert cell(code).source == source


def test_wrong_escapes_do_not_make_the_parser_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cell(r"re.findall('\d\'', 'a12')").source == "_ = (re.findall('\\d\\'', 'a12')\n)\nNone"


@pytest.mark.parametrize("code", ["(" * 5000, "-" * 50_000 + "1", "x\0", "\ud800", "a" * 200_000, "1" * 5000])
def test_hostile_code_only_loses_its_value(code: str) -> None:
    assert not cell(code).has_value or code.isdigit() or code.startswith("-")


@given(
    st.lists(
        st.sampled_from(["x = 'é'", "f(1)", "((2))", "'a\\'b'", "if x:\n    y()", "# c", "1 + \\\n 2", "", "'''\nü'''"])
    )
)
def test_only_the_last_statement_is_rewritten(lines: list[str]) -> None:
    code = "\n".join(lines)
    written, rewritten = ast.parse(code).body, ast.parse(cell(code).source).body[:-1]
    assert len(written) == len(rewritten)
    assert [ast.dump(node) for node in written[:-1]] == [ast.dump(node) for node in rewritten[:-1]]
    if written and isinstance(written[-1], ast.Expr):
        kept = rewritten[-1]
        assert isinstance(kept, ast.Assign)
        assert ast.dump(kept.value) == ast.dump(written[-1].value)
