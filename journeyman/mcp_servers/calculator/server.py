"""The calculator as an MCP server."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from journeyman.errors import ToolError
from journeyman.mcp_servers.calculator import dates, evaluate, number, tree
from journeyman.mcp_servers.calculator.number import Number
from journeyman.mcp_servers.calculator.symbolic import Child
from journeyman.mcp_servers.toolset import Reply, Toolset, hints

SYMBOLS = {"°C": "degC", "°F": "degF", "°": "degree", "µ": "u", "μ": "u", "²": "**2", "³": "**3", "^": "**"}
Numbers = Annotated[list[float], Field(min_length=1, max_length=10_000)]


class Result(BaseModel):
    exact: str
    """An integer or `numerator/denominator`."""
    decimal: str
    approximate: bool
    """The decimal is rounded."""


class Formula(BaseModel):
    result: str


class Summary(BaseModel):
    count: int
    sum: str
    mean: str
    median: str
    least: str
    most: str
    deviation: str | None
    """Of a sample; none of one number."""


def build(root: Path, *, full: bool = False) -> Toolset:  # noqa: ARG001 - every server is built the same way; arithmetic needs no folder
    child = Child()

    @asynccontextmanager
    async def closing(_: Any) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await child.close()

    told = "Exact arithmetic. Results are fractions or decimals without rounding errors."
    server = Toolset("calculator", told, lifespan=closing)
    server.offer(calculate, hints(read_only=True), Result)
    if full:
        server.offer(statistics, hints(read_only=True), Summary)
        server.offer(days_between, hints(read_only=True), Formula)
        server.offer(date_after, hints(read_only=True), Formula)

    if full and find_spec("sympy") and find_spec("pint"):
        _offer_mathematics(server, child)

    return server


async def calculate(expression: str) -> Reply:
    """Calculate an arithmetic expression"""
    answer = evaluate.calculate(expression)
    return Reply(answer.text, Result(exact=answer.exact, decimal=answer.decimal, approximate=answer.approximate))


def statistics(numbers: Numbers) -> Reply:
    """Count, sum, mean, median, range and standard deviation of numbers"""
    import statistics as known  # noqa: PLC0415 - takes a while

    try:
        exact = [Fraction(repr(each)) for each in numbers]
    except ValueError:
        raise ToolError("only finite numbers have a mean") from None

    spread = _text(Fraction(known.stdev(exact)), exact=False) if len(exact) > 1 else None
    mean, median = _text(known.mean(exact)), _text(known.median(exact))
    found = Summary(
        count=len(exact),
        sum=_text(sum(exact, Fraction(0))),
        mean=mean,
        median=median,
        least=_text(min(exact)),
        most=_text(max(exact)),
        deviation=spread,
    )
    return Reply("\n".join(f"{name}: {value}" for name, value in found if value is not None), found)


def days_between(start: str, end: str) -> Reply:
    """Count the days from one date to another"""
    return _reply(dates.between(start, end))


def date_after(start: str, days: int = 0, weeks: int = 0, months: int = 0, years: int = 0) -> Reply:
    """Find the date some time after a date"""
    return _reply(dates.after(start, days, weeks, months, years))


def _offer_mathematics(server: Toolset, child: Child) -> None:
    async def solve(equation: str, variable: str = "") -> Reply:
        """Solve an equation for a variable"""
        return _reply(await child.ask("solve", equation=tree.equation(equation), variable=_name(variable)))

    async def simplify(expression: str) -> Reply:
        """Simplify an expression with variables"""
        return _reply(await child.ask("simplify", expression=tree.expression(expression)))

    async def differentiate(
        expression: str, variable: str = "", order: Annotated[int, Field(ge=1, le=20)] = 1
    ) -> Reply:
        """Differentiate an expression by a variable"""
        node = tree.expression(expression)
        return _reply(await child.ask("differentiate", expression=node, variable=_name(variable), order=order))

    async def integrate(expression: str, variable: str = "", lower: str = "", upper: str = "") -> Reply:
        """Integrate an expression, with bounds or without"""
        if bool(lower.strip()) != bool(upper.strip()):
            raise ToolError("give both bounds, or none")

        bounds = [tree.expression(lower), tree.expression(upper)] if lower.strip() else []
        node = tree.expression(expression)
        return _reply(await child.ask("integrate", expression=node, variable=_name(variable), bounds=bounds))

    async def convert(value: str, unit: str, to: str) -> Reply:
        """Convert a value from one unit to another"""
        amount = evaluate.calculate(value).exact
        text = await child.ask("convert", value=amount, of=_unit(unit), to=_unit(to))
        return _reply(f"{number.text(Number(Fraction(text)))} {to}")

    for work in (solve, simplify, differentiate, integrate, convert):
        server.offer(work, hints(read_only=True), Formula)


def _reply(text: str) -> Reply:
    return Reply(text, Formula(result=text))


def _name(variable: str) -> str:
    return tree.name(variable) if variable.strip() else ""


def _unit(text: str) -> tree.Node:
    for sign, name in SYMBOLS.items():
        text = text.replace(sign, name)

    return tree.unit(text)


def _text(value: Fraction, *, exact: bool = True) -> str:
    return number.decimal_text(Number(value, exact))
