"""Exact values of the expressions that generated questions are about: a reference of its own, not the calculator's."""

import ast
import math
import operator
from collections.abc import Callable
from fractions import Fraction

OPERATORS: dict[type[ast.AST], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: lambda base, power: Fraction(base ** int(power)),
}

FUNCTIONS: dict[str, Callable[..., Fraction | int]] = {
    "sqrt": lambda x: Fraction(math.isqrt(int(x))),
    "max": max,
    "min": min,
    "factorial": lambda x: math.factorial(int(x)),
    "gcd": lambda *xs: math.gcd(*map(int, xs)),
}


def value(expression: str) -> Fraction:
    """The value of an expression that this package wrote itself; roots are only taken of square numbers."""
    return _value(ast.parse(expression, mode="eval").body, expression)


def shown(number: Fraction) -> str:
    """A number as people write it: an integer or a decimal that ends, else numerator/denominator."""
    if number.denominator == 1:
        return str(number.numerator)

    rest = number.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime

    return str(number) if rest != 1 else f"{float(number):.15g}"


def _value(node: ast.expr, source: str) -> Fraction:
    match node:
        case ast.Constant():
            return Fraction(ast.get_source_segment(source, node) or "0")
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, source)
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATORS[type(op)](_value(left, source), _value(right, source))
        case ast.Call(func=ast.Name(id=name), args=args):
            return Fraction(FUNCTIONS[name](*(_value(argument, source) for argument in args)))
        case _:
            raise ValueError(f"not an expression of this package: {source!r}")
