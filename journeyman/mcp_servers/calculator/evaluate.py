"""The calculator: rational arithmetic over a whitelist of syntax, exact, and too small to hang.

Nothing is ever evaluated by Python. Each operation estimates the size of its result before it starts, so `9**9**9` is
refused at once. `round` rounds half away from zero, as people do.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from journeyman.errors import ToolError
from journeyman.mcp_servers.calculator import number as numbers
from journeyman.mcp_servers.calculator.functions import CONSTANTS, FUNCTIONS, power
from journeyman.mcp_servers.calculator.number import Number, demand_size, size
from journeyman.mcp_servers.calculator.reader import Expression, read

MAX_DEPTH = 100
NAMES = frozenset(FUNCTIONS) | frozenset(CONSTANTS)


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    """What the model reads."""
    exact: str
    """An integer or `numerator/denominator`; for a rounded number the rational that was calculated with."""
    decimal: str
    approximate: bool
    """`decimal` is not the whole truth."""


def calculate(expression: str) -> Answer:
    """The value of an arithmetic expression.

    Raises:
        ToolError: it is no arithmetic, has no value (division by zero) or one that is too large.
    """
    tree = read(expression, NAMES)
    result = _value(tree.tree, tree, 0)
    return Answer(
        text=numbers.text(result),
        exact=numbers.exact_text(result),
        decimal=numbers.decimal_text(result),
        approximate=not numbers.is_written_out(result),
    )


def value_of(node: ast.expr, source: Expression) -> Number:
    """The value of a part of an expression. Raises ToolError as `calculate` does."""
    return _value(node, source, 0)


def _value(node: ast.expr, source: Expression, depth: int) -> Number:
    if depth > MAX_DEPTH:
        raise ToolError(f"nested too deeply; at most {MAX_DEPTH} levels")

    match node:
        case ast.Constant(value=int(index)):
            return Number(source.numbers[index])
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name]()
        case ast.Name(id=name):
            raise ToolError(f"{name} is a function; write {name}(...)")
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            inner = _value(operand, source, depth + 1)
            return Number(-inner.value, inner.exact) if isinstance(sign, ast.USub) else inner
        case ast.BinOp():
            return _chain(node, source, depth)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name].call([_value(argument, source, depth + 1) for argument in arguments])
        case ast.Call():
            raise ToolError("between two factors write *: 2 * (3 + 4)")
        case ast.Tuple():
            raise ToolError("write numbers without commas: 1000, and with a decimal point: 1.5")
        case _:
            raise ToolError("only numbers, + - * / // % ** and ( ) can be calculated")


def _chain(node: ast.BinOp, source: Expression, depth: int) -> Number:
    """`a + b + c ...` nests to the left as deep as it is long: walked, not recursed into."""
    rights: list[ast.BinOp] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp):
        rights.append(left)
        left = left.left

    result = _value(left, source, depth + 1)
    for step in reversed(rights):
        operation = _OPERATIONS.get(type(step.op))
        if operation is None:
            raise ToolError("only + - * / // % ** can be calculated")

        result = operation(result, _value(step.right, source, depth + 1))

    return result


def _add(left: Number, right: Number) -> Number:
    demand_size(size(left.value) + size(right.value))
    return Number(left.value + right.value, left.exact and right.exact)


def _subtract(left: Number, right: Number) -> Number:
    return _add(left, Number(-right.value, right.exact))


def _multiply(left: Number, right: Number) -> Number:
    demand_size(size(left.value) + size(right.value))
    return Number(left.value * right.value, left.exact and right.exact)


def _divide(left: Number, right: Number) -> Number:
    if right.value == 0:
        raise ToolError("division by zero")

    return _multiply(left, Number(1 / right.value, right.exact))


def _floor(left: Number, right: Number) -> Number:
    quotient = _divide(left, right)
    return Number(Fraction(numbers.floor(quotient)), quotient.exact)


def _remainder(left: Number, right: Number) -> Number:
    quotient = _divide(left, right)
    part = quotient.value - numbers.floor(quotient)
    return Number(max(part, Fraction(0)) * right.value, quotient.exact)


_OPERATIONS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: _add,
    ast.Sub: _subtract,
    ast.Mult: _multiply,
    ast.Div: _divide,
    ast.FloorDiv: _floor,
    ast.Mod: _remainder,
    ast.Pow: power,
}
