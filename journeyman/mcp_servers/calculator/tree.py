"""An expression with variables as plain data: what the child process builds its mathematics from, instead of a text.

A node is a list: `["n", "3/4"]`, `["s", "x"]`, `["c", "pi"]`, `["-", a]`, `["+", a, b]`, `["sin", a]`. Parts without
variables are calculated here first, by the bounded arithmetic, so that none of them can be too large for the child.
"""

import ast
from typing import Any

from journeyman.errors import ToolError
from journeyman.mcp_servers.calculator.evaluate import NAMES, value_of
from journeyman.mcp_servers.calculator.functions import CONSTANTS
from journeyman.mcp_servers.calculator.reader import VARIABLE, Expression, read

MAX_DEPTH = 400
FUNCTIONS = frozenset(
    {"sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"}
    | {"sqrt", "exp", "log", "ln", "abs", "factorial"}
)
OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
}
Node = list[Any]


def expression(source: str) -> Node:
    """The tree of an expression with variables.

    Raises:
        ToolError: it is no such expression, or a part of it is too large.
    """
    found = read(source, NAMES | FUNCTIONS, variables=True)
    return _node(found.tree, found, 0)


def equation(source: str) -> Node:
    """The tree of what has to be zero: `2*x = 6` is `2*x - 6`."""
    left, equals, right = source.partition("=")
    if "=" in right:
        raise ToolError("an equation has one =; solve one at a time")

    if set(left[-1:]) & set("<>!"):
        raise ToolError("only equations can be solved, no inequalities")

    return ["-", expression(left), expression(right)] if equals else expression(left)


def unit(source: str) -> Node:
    """The tree of a unit: `km/h`, `m**2`."""
    found = read(source, frozenset(), variables=True)
    return _node(found.tree, found, 0)


def name(source: str) -> str:
    """A variable's name."""
    node = unit(source)
    if node[0] != "s":
        raise ToolError(f"{source[:40]!r} is no variable; write one name, such as x")

    return node[1]


def _node(node: ast.expr, source: Expression, depth: int) -> Node:  # noqa: PLR0911 - one for each kind of node
    if depth > MAX_DEPTH:
        raise ToolError(f"nested too deeply; at most {MAX_DEPTH} levels")

    if _is_number(node) and (number := value_of(node, source)).exact:
        return ["n", str(number.value)]

    match node:
        case ast.Name(id=name) if name in CONSTANTS:
            return ["c", name]
        case ast.Name(id=name) if name.startswith(VARIABLE):
            return ["s", name.removeprefix(VARIABLE)]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return ["-", _node(operand, source, depth + 1)]
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _node(operand, source, depth + 1)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in OPERATORS:
            sides = (_node(side, source, depth + 1) for side in (left, right))
            return [OPERATORS[type(operator)], *sides]
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
            return [name, _node(argument, source, depth + 1)]
        case _:
            known = ", ".join(sorted(FUNCTIONS))
            raise ToolError(f"only numbers, variables, + - * / ** ( ) and one-argument functions can be used: {known}")


def _is_number(node: ast.expr) -> bool:
    """Nothing but numbers and what our own arithmetic knows to do with them."""
    return all(part.id in NAMES for part in ast.walk(node) if isinstance(part, ast.Name))
