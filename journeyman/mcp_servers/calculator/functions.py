"""What can be called by name: exact where the answer is rational, rounded to 50 digits where it is not."""

import decimal
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from journeyman.errors import ToolError
from journeyman.mcp_servers.calculator.number import (
    MAX_BITS,
    PRECISION,
    Number,
    context,
    demand_size,
    floor,
    rounded,
    size,
    to_decimal,
)

MAX_FACTORIAL = 1000
MAX_ROOT = 64
MAX_EXP = 5000
_PI = "3.14159265358979323846264338327950288419716939937511"


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    run: Callable[..., Number]
    least: int
    most: int | None

    def call(self, arguments: list[Number]) -> Number:
        count = len(arguments)
        if count < self.least or (self.most is not None and count > self.most):
            wanted = str(self.least) if self.least == self.most else f"{self.least} or more"
            raise ToolError(f"{self.name} takes {wanted} argument{'s' * (wanted != '1')}, not {count}")

        return self.run(*arguments)


def power(base: Number, exponent: Number) -> Number:
    """`base ** exponent`; a fraction as exponent is a root, exact where the root is rational."""
    if exponent.value.denominator != 1:
        return _root_power(base, exponent)

    times = exponent.value.numerator
    if base.value == 0 and times < 0:
        raise ToolError("division by zero")

    if abs(base.value) not in {0, 1}:
        # Compared before it is multiplied: an exponent may itself have thousands of digits.
        demand_size(math.inf if times.bit_length() > MAX_BITS.bit_length() else size(base.value) * abs(times))
        return Number(base.value**times, base.exact and exponent.exact)

    sign = -1 if base.value == -1 and times % 2 else 1
    return Number(Fraction(sign if base.value or times == 0 else 0), base.exact and exponent.exact)


def _root_power(base: Number, exponent: Number) -> Number:
    if base.value < 0:
        raise ToolError("a root of a negative number is not a real number")

    if base.value == 0:
        if exponent.value < 0:
            raise ToolError("division by zero")

        return base

    degree = exponent.value.denominator
    if base.exact and exponent.exact and degree <= MAX_ROOT:
        top, bottom = _exact_root(base.value.numerator, degree), _exact_root(base.value.denominator, degree)
        if top is not None and bottom is not None:
            return power(Number(Fraction(top, bottom)), Number(Fraction(exponent.value.numerator)))

    return _exp(context().multiply(to_decimal(exponent.value), _ln(base.value)))


def _exact_root(number: int, degree: int) -> int | None:
    """The integer whose `degree`-th power is `number`, found by bisection."""
    low, high = 0, 1 << (number.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**degree <= number else (low, middle - 1)

    return low if low**degree == number else None


def _sqrt(number: Number) -> Number:
    value = number.value
    if value < 0:
        raise ToolError("a root of a negative number is not a real number")

    top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if top * top == value.numerator and bottom * bottom == value.denominator:
        return Number(Fraction(top, bottom), number.exact)

    return rounded(context().sqrt(to_decimal(value)))


def _ln(value: Fraction) -> decimal.Decimal:
    if value <= 0:
        raise ToolError("a logarithm needs a number above 0")

    return context().ln(to_decimal(value))


def _log(number: Number, base: Number | None = None) -> Number:
    """`log(x)` is the natural logarithm, `log(x, base)` any other."""
    top = _ln(number.value)
    if base is None:
        return rounded(top)

    if (bottom := _ln(base.value)) == 0:
        raise ToolError("a logarithm needs a base other than 1")

    return _tidy_log(number.value, base.value, context().divide(top, bottom))


def _tidy_log(value: Fraction, base: Fraction, result: decimal.Decimal) -> Number:
    """A whole number is the true answer if the power says so: log10(1000) is 3."""
    whole = Fraction(int(result.to_integral_value()))
    if abs(whole) <= MAX_BITS and size(base) * abs(whole) <= MAX_BITS and base**whole.numerator == value:
        return Number(whole)

    return rounded(result)


def _exp(power_of_e: decimal.Decimal) -> Number:
    if abs(power_of_e) > MAX_EXP:
        demand_size(math.inf)

    return rounded(context().exp(power_of_e))


def _factorial(number: Number) -> Number:
    count = _whole(number, "factorial")
    if not 0 <= count <= MAX_FACTORIAL:
        raise ToolError(f"factorial goes from 0 to {MAX_FACTORIAL}")

    return Number(Fraction(math.factorial(count)), number.exact)


def _comb(number: Number, chosen: Number) -> Number:
    total, some = _whole(number, "comb"), _whole(chosen, "comb")
    if total < 0 or some < 0:
        raise ToolError("comb needs numbers from 0 up")

    demand_size(min(some, max(total - some, 0)) * total.bit_length())
    return Number(Fraction(math.comb(total, some)), number.exact and chosen.exact)


def _round(number: Number, places: Number | None = None) -> Number:
    digits = 0 if places is None else _whole(places, "round")
    if abs(digits) > PRECISION:
        raise ToolError(f"round goes to {PRECISION} places")

    scale = Fraction(10) ** digits
    halves = Number(abs(number.value) * scale + Fraction(1, 2), number.exact)
    return Number((-1 if number.value < 0 else 1) * Fraction(floor(halves)) / scale, number.exact)


def _whole(number: Number, name: str) -> int:
    if number.value.denominator != 1:
        raise ToolError(f"{name} needs whole numbers")

    return number.value.numerator


def _integers(function: Callable[..., int], name: str) -> Callable[..., Number]:
    def run(*arguments: Number) -> Number:
        # lcm can multiply all of them.
        demand_size(sum(size(argument.value) for argument in arguments))
        result = function(*(_whole(argument, name) for argument in arguments))
        return Number(Fraction(result), all(argument.exact for argument in arguments))

    return run


def _pick(function: Callable[..., Number]) -> Callable[..., Number]:
    def run(*arguments: Number) -> Number:
        best = function(arguments, key=lambda number: number.value)
        return Number(best.value, all(argument.exact for argument in arguments))

    return run


def _sum(*arguments: Number) -> Number:
    demand_size(sum(size(argument.value) for argument in arguments))
    total = sum((argument.value for argument in arguments), Fraction(0))
    return Number(total, all(argument.exact for argument in arguments))


CONSTANTS: dict[str, Callable[[], Number]] = {
    "pi": lambda: rounded(decimal.Decimal(_PI)),
    "e": lambda: rounded(context().exp(decimal.Decimal(1))),
}

FUNCTIONS = {
    function.name: function
    for function in (
        Function("abs", lambda number: Number(abs(number.value), number.exact), 1, 1),
        Function(
            "ceil", lambda number: Number(Fraction(-floor(Number(-number.value, number.exact))), number.exact), 1, 1
        ),
        Function("comb", _comb, 2, 2),
        Function("exp", lambda number: _exp(to_decimal(number.value)), 1, 1),
        Function("factorial", _factorial, 1, 1),
        Function("floor", lambda number: Number(Fraction(floor(number)), number.exact), 1, 1),
        Function("gcd", _integers(math.gcd, "gcd"), 1, None),
        Function("lcm", _integers(math.lcm, "lcm"), 1, None),
        Function("ln", _log, 1, 1),
        Function("log", _log, 1, 2),
        Function("log10", lambda number: _log(number, Number(Fraction(10))), 1, 1),
        Function("log2", lambda number: _log(number, Number(Fraction(2))), 1, 1),
        Function("max", _pick(max), 1, None),
        Function("min", _pick(min), 1, None),
        Function("round", _round, 1, 2),
        Function("sqrt", _sqrt, 1, 1),
        Function("sum", _sum, 1, None),
    )
}
