"""The child process that does symbolic mathematics and units: one JSON line in, one out, until stdin ends.

It is given trees and never a text that it would have to evaluate, holds itself to limits of memory and CPU time, and is
killed by its parent when it takes too long.
"""

import json
import operator
import resource
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import cache, reduce
from typing import Any

MEMORY = 2 << 30
CPU_S = 10
"""For one request."""
LONGEST = 4_000
POWER = 64
"""Of a unit."""


@cache
def _sympy() -> Any:
    import sympy  # noqa: PLC0415 - half a second

    return sympy


@cache
def _units() -> Any:
    import pint  # noqa: PLC0415

    return pint.UnitRegistry(non_int_type=Fraction)


OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow}


def _build(node: list[Any]) -> Any:
    """A SymPy object."""
    sympy = _sympy()
    kind, *rest = node
    match kind:
        case "n":
            return sympy.Rational(rest[0])
        case "s":
            return sympy.Symbol(rest[0])
        case "c":
            return {"pi": sympy.pi, "e": sympy.E}[rest[0]]
        case "-" if len(rest) == 1:
            return -_build(rest[0])
        case _ if kind in OPERATIONS:
            return OPERATIONS[kind](*map(_build, rest))
        case _:
            functions = {"ln": sympy.log, "abs": sympy.Abs}
            return functions.get(kind, getattr(sympy, kind, None))(_build(rest[0]))


def _variable(tree: Any, name: str) -> Any:
    """The one that is named, or the only one there is."""
    names = sorted(tree.free_symbols, key=str)
    if name:
        return _sympy().Symbol(name)

    if len(names) != 1:
        known = ", ".join(map(str, names)) or "none"
        raise Refusal(f"say which variable; there are: {known}")

    return names[0]


def solve(equation: list[Any], variable: str) -> str:
    sympy = _sympy()
    tree = _build(equation)
    if not tree.free_symbols:
        return "always true" if sympy.simplify(tree) == 0 else "never true"

    unknown = _variable(tree, variable)
    found = sympy.solveset(tree, unknown, sympy.S.Complexes)
    if found is sympy.S.EmptySet:
        return "no solution"

    if isinstance(found, sympy.FiniteSet):
        return _told(unknown, sorted(found, key=sympy.default_sort_key))

    try:
        roots = sympy.solve(tree, unknown)
    except NotImplementedError:
        raise Refusal("no way to solve this is known") from None

    return _told(unknown, roots) or f"{unknown} in {found}"


def _told(unknown: Any, roots: list[Any]) -> str:
    """Each exactly and, where that is no fraction, to ten digits too."""
    sympy = _sympy()
    pieces = []
    for root in roots:
        near = f" ({root.evalf(10)})" if root.is_number and not root.is_rational else ""
        pieces.append(f"{unknown} = {near[2:-1] if root.has(sympy.CRootOf) and near else f'{root}{near}'}")

    return " or ".join(pieces)


def simplify(expression: list[Any]) -> str:
    return str(_sympy().simplify(_build(expression)))


def differentiate(expression: list[Any], variable: str, order: int) -> str:
    tree = _build(expression)
    return str(_sympy().simplify(tree.diff(_variable(tree, variable), order)))


def integrate(expression: list[Any], variable: str, bounds: list[list[Any]]) -> str:
    sympy = _sympy()
    tree = _build(expression)
    over = _variable(tree, variable)
    found = sympy.integrate(tree, (over, *map(_build, bounds)) if bounds else over)
    if found.has(sympy.Integral):
        raise Refusal("this has no integral in closed form that is known")

    return str(found)


def convert(value: str, of: list[Any], to: list[Any]) -> str:
    import pint  # noqa: PLC0415

    units = _units()
    try:
        return str(units.Quantity(Fraction(value), _unit(of)).to(_unit(to)).m)
    except pint.UndefinedUnitError as error:
        raise Refusal(f"there is no unit {' or '.join(map(repr, _names(error)))}") from None
    except pint.DimensionalityError as error:
        raise Refusal(
            f"{error.units1} cannot be made {error.units2}: one is {error.dim1}, one is {error.dim2}"
        ) from None


def _names(error: Any) -> list[str]:
    return [error.unit_names] if isinstance(error.unit_names, str) else list(error.unit_names)


def _unit(node: list[Any]) -> Any:
    units = _units()
    kind, *rest = node
    match kind:
        case "s":
            return units.Unit(rest[0])
        case "n":
            if rest[0] != "1":
                raise Refusal("a unit has no numbers but small powers")

            return units.dimensionless
        case "*" | "/":
            return reduce(OPERATIONS[kind], map(_unit, rest))
        case "**" if rest[1][0] == "n" and rest[1][1].lstrip("-").isdecimal() and abs(int(rest[1][1])) <= POWER:
            return _unit(rest[0]) ** int(rest[1][1])
        case _:
            raise Refusal("write a unit like m, km/h or m**2")


class Refusal(Exception):
    """In words for the model."""


WORK: dict[str, Callable[..., str]] = {
    work.__name__: work for work in (solve, simplify, differentiate, integrate, convert)
}


def answer(line: str) -> dict[str, str]:
    asked = json.loads(line)
    try:
        text = WORK[asked.pop("work")](**asked)
    except Refusal as refusal:
        return {"refused": str(refusal)}
    except ImportError as error:
        from journeyman.errors import install  # noqa: PLC0415

        return {"refused": f"{error.name} is not installed; {install('journeyman[maths]')}"}
    except MemoryError:
        return {"refused": "it takes too much memory"}
    except (ArithmeticError, NotImplementedError, RecursionError, TypeError, ValueError) as error:
        return {"refused": f"it cannot be done: {str(error)[:200] or type(error).__name__}"}

    return {"text": text} if len(text) <= LONGEST else {"refused": f"the result has {len(text)} characters"}


def _limit() -> None:
    """CPU time for one more request."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + CPU_S, resource.RLIM_INFINITY))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    for line in sys.stdin:
        _limit()
        print(json.dumps(answer(line)), flush=True)  # noqa: T201
