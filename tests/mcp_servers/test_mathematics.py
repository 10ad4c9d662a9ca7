"""The calculator's further tools, through a client; what other calculators fell to is tried on every one."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest

from journeyman.errors import ToolError
from journeyman.mcp_servers import build
from journeyman.mcp_servers.calculator.symbolic import TOO_LONG, Child
from journeyman.mcp_servers.calculator.tree import equation, expression
from tests.mcp_servers.asked import asked
from tests.need import need

ATTACKS = [
    "__import__('os').system('touch owned')",
    "().__class__.__bases__[0].__subclasses__()",
    "open('/etc/passwd').read()",
    "9**9**9",
    "2**(2**(2**30))",
    "factorial(10**7)",
    "factorial(1e7)",
    "10**10**10",
    "10**10**10 % 7",
    "1e999999999",
    "x.__class__",
    "lambda: 0",
    "[x for x in (1, 2)]",
    "(" * 300 + "x" + ")" * 300,
    "x" * 2000,
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def calculator(folder: Path) -> AbstractAsyncContextManager[Any]:
    return asked(build("calculator", folder, full=True))


async def test_equations_formulas_and_units_are_worked_out_exactly(tmp_path: Path) -> None:
    need("sympy")
    need("pint")
    async with calculator(tmp_path) as call:
        assert await call("solve", equation="x**2 - 5*x + 6 = 0") == "x = 2 or x = 3"
        assert await call("solve", equation="2*x + 3*y = 6", variable="y") == "y = 2 - 2*x/3"
        assert await call("solve", equation="x**2 = 2") == ("x = -sqrt(2) (-1.414213562) or x = sqrt(2) (1.414213562)")
        assert await call("solve", equation="x = x + 1") == "never true"
        assert await call("solve", equation="x + y = 1") == "error: say which variable; there are: x, y"
        assert await call("simplify", expression="(x**2 - 1) / (x - 1)") == "x + 1"
        assert await call("differentiate", expression="x**3", order=2) == "6*x"
        assert await call("integrate", expression="x**2", lower="0", upper="3") == "9"
        assert await call("integrate", expression="lambda*x", variable="lambda") == "lambda**2*x/2"
        assert await call("convert", value="36.6", unit="°C", to="°F") == "97.88 °F"
        assert await call("convert", value="1/3", unit="mile", to="m") == "536.448 m"
        assert await call("convert", value="3", unit="ft", to="kg") == (
            "error: foot cannot be made kilogram: one is [length], one is [mass]"
        )
        assert await call("convert", value="1", unit="blorg", to="m") == "error: there is no unit 'blorg'"


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack[:20])
async def test_what_other_calculators_fell_to_is_refused_by_every_tool(tmp_path: Path, attack: str) -> None:
    need("sympy")
    async with calculator(tmp_path) as call:
        for tool, argument in (("calculate", "expression"), ("solve", "equation"), ("simplify", "expression")):
            if attack.startswith("(") and tool != "calculate":
                continue  # brackets around a variable are no attack

            with anyio.fail_after(50):
                assert (await call(tool, **{argument: attack})).startswith("error: ")

        assert (await call("convert", value=attack, unit="m", to="km")).startswith("error: ")
        assert (await call("convert", value="1", unit=attack, to="km")).startswith("error: ")

    assert not (tmp_path / "owned").exists()


async def test_what_takes_too_long_is_ended_and_the_next_request_is_answered() -> None:
    need("sympy")
    child = Child(patience=1.5)
    heavy = expression("(x + y + z + 1)**400 - (x + y + z + 1)**399")
    try:
        with pytest.raises(ToolError, match=TOO_LONG):
            await child.ask("simplify", expression=heavy)

        child._patience = 20
        assert await child.ask("solve", equation=equation("2*x = 6"), variable="x") == "x = 3"
    finally:
        await child.close()


async def test_numbers_and_dates_are_summed_up(tmp_path: Path) -> None:
    async with calculator(tmp_path) as call:
        assert await call("statistics", numbers=[0.1, 0.2, 0.6]) == (
            "count: 3\nsum: 0.9\nmean: 0.3\nmedian: 0.2\nleast: 0.1\nmost: 0.6\ndeviation: 0.2645751311064591"
        )
        assert (await call("statistics", numbers=[])).startswith("error: statistics: numbers: ")
        assert await call("days_between", start="2024-02-28", end="2024-03-01") == "2 days"
        assert await call("days_between", start="2026-12-25", end="2026-01-01") == "-358 days (51 weeks and 1 day)"
        assert await call("date_after", start="2024-01-31", months=1) == "2024-02-29 (Thursday)"
        assert (await call("date_after", start="2024-01-31", years=9000)).startswith("error: that is before the year 1")
        assert await call("days_between", start="soon", end="2026-01-01") == (
            "error: 'soon' is no date; write it like 2026-11-22"
        )
