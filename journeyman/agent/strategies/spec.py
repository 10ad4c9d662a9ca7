"""Strategies as they are written: `cot`, `vote(8)`, `best(4, by=judge)`, `route(plain, vote(5, of=cot))`.

Arguments are given in their order or by name; one that is itself a strategy, given without a name, is what the others
are made of.
"""

import ast
from collections.abc import Sequence

from pydantic import ValidationError

from journeyman.agent.strategies.beam import Beam
from journeyman.agent.strategies.best import Best
from journeyman.agent.strategies.budget import Budget
from journeyman.agent.strategies.cot import Cot
from journeyman.agent.strategies.no_switch import NoSwitch
from journeyman.agent.strategies.on import On
from journeyman.agent.strategies.plain import Plain
from journeyman.agent.strategies.refine import Refine
from journeyman.agent.strategies.route import Route
from journeyman.agent.strategies.strategy import Direct, Strategy
from journeyman.agent.strategies.tpo import Tpo
from journeyman.agent.strategies.tree import Tree
from journeyman.agent.strategies.vote import Vote
from journeyman.errors import UsageError
from journeyman.tomlfile import explained

STRATEGIES: dict[str, type[Strategy]] = {
    kind.name: kind for kind in (Plain, Direct, Cot, Budget, NoSwitch, Vote, Best, Refine, Route, On, Tpo, Beam, Tree)
}
FIX = "Write one of {}; with arguments: vote(8), best(4, by=judge), route(plain, vote(5))."


def strategy(text: str) -> Strategy:
    """The strategy that is written.

    Raises:
        UsageError: it is none.
    """
    try:
        return _read(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        half = ": its brackets do not match" if text.count("(") != text.count(")") else ""
        raise UsageError(f"{text!r} is no strategy{half}.", fix=_fix()) from None


def strategies(texts: Sequence[str]) -> list[Strategy]:
    return [strategy(text) for text in texts]


def _read(node: ast.expr) -> Strategy:
    match node:
        case ast.Name(id=name):
            return _made(name, [], {})
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            return _made(
                name, [_value(each) for each in args], {each.arg or "": _value(each.value) for each in keywords}
            )
        case _:
            raise UsageError(f"{ast.unparse(node)!r} is no strategy.", fix=_fix())


def _value(node: ast.expr) -> object:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.Name(id=name) if name not in STRATEGIES:
            return name
        case _:
            return _read(node)


def _made(name: str, args: Sequence[object], named: dict[str, object]) -> Strategy:
    kind = STRATEGIES.get(name)
    if kind is None:
        raise UsageError(f"There is no strategy {name!r}.", fix=_fix())

    fields = [field for field in kind.model_fields if field not in named]
    given: dict[str, object] = {}
    for value in args:
        wanted = [field for field in fields if isinstance(kind.model_fields[field].default, Strategy)]
        choices = wanted if isinstance(value, Strategy) else [field for field in fields if field not in wanted]
        if not choices:
            raise UsageError(f"{name} takes no more arguments than {len(kind.model_fields)}.", fix=_usage(kind))

        given[choices[0]] = value
        fields.remove(choices[0])

    try:
        return kind.model_validate(given | named)
    except ValidationError as error:
        _, message, _ = explained(kind, error)
        raise UsageError(f"{name}: {message}.", fix=_usage(kind)) from None


def _usage(kind: type[Strategy]) -> str:
    fields = [f"{name}={'...' if field.is_required() else field.default}" for name, field in kind.model_fields.items()]
    return f"Write {kind.name}({', '.join(fields)})." if fields else f"Write {kind.name}, it takes nothing."


def _fix() -> str:
    return FIX.format(", ".join(STRATEGIES))
