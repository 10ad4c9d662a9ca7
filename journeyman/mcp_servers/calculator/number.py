"""Exact numbers with a bound on their size that is checked before the work is done, and how they are written.

A `Number` is a rational; `exact` says whether it is the true value or one rounded to `PRECISION` digits (a root, a
logarithm). Rounding is carried along: whatever is made from a rounded number is rounded.
"""

import decimal
import math
from dataclasses import dataclass
from fractions import Fraction

from journeyman.errors import ToolError

MAX_DIGITS = 4000
"""Below the 4300 digits that Python itself turns into text."""
MAX_BITS = int(MAX_DIGITS * 3.3219)
PRECISION = 50
SLACK = Fraction(1, 10**40)
"""Of a rounded number, in relation to it: what a few roundings can make of a whole one."""
SHOWN = 16
"""Significant digits of a rounded number."""
SMALLEST_PLAIN = -6
"""Power of ten below which a rounded number is written with an exponent."""
LONGEST_INTEGER = 200
LONGEST_DECIMAL = 40
LONGEST_FRACTION = 20


@dataclass(frozen=True, slots=True)
class Number:
    value: Fraction
    exact: bool = True


def context() -> decimal.Context:
    """Roots and logarithms are rounded here: half to even, to `PRECISION` digits."""
    return decimal.Context(prec=PRECISION, Emax=MAX_DIGITS * 2, Emin=-MAX_DIGITS * 2)


def rounded(value: decimal.Decimal) -> Number:
    return Number(Fraction(value), exact=False)


def to_decimal(value: Fraction) -> decimal.Decimal:
    """`PRECISION` digits of it."""
    return context().divide(decimal.Decimal(value.numerator), decimal.Decimal(value.denominator))


def floor(number: Number) -> int:
    """The whole number at or below it; one that a rounded number misses by its rounding alone is reached."""
    nearest = round(number.value)
    missed = abs(nearest - number.value)
    reached = not number.exact and missed <= SLACK * max(1, abs(number.value))
    return nearest if reached else math.floor(number.value)


def size(value: Fraction) -> int:
    """Bits of the longer one of numerator and denominator."""
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def demand_size(bits: float) -> None:
    """Raises ToolError when a result of so many bits would be too long."""
    if bits > MAX_BITS:
        raise ToolError(f"too large: the result would have more than {MAX_DIGITS} digits")


def exact_text(number: Number) -> str:
    value = number.value
    return str(value.numerator) if value.denominator == 1 else f"{value.numerator}/{value.denominator}"


def decimal_text(number: Number) -> str:
    """All digits where they are few enough, else `SHOWN` significant ones."""
    value = number.value
    if number.exact:
        if value.denominator == 1 and len(digits := str(value.numerator)) <= LONGEST_INTEGER:
            return digits

        if (text := _terminating(value)) and len(text) <= LONGEST_DECIMAL:
            return text

    return _significant(value)


def is_written_out(number: Number) -> bool:
    """Whether `decimal_text` is the exact value."""
    return number.exact and Fraction(decimal_text(number)) == number.value


def text(number: Number) -> str:
    """What the model reads: `1579`, `3.5`, `1/3 (0.3333333333333333)`, `1.414213562373095 (rounded)`."""
    shown = decimal_text(number)
    if is_written_out(number):
        return shown

    if number.exact and len(fraction := exact_text(number)) <= LONGEST_FRACTION * 2 and number.value.denominator != 1:
        return f"{fraction} ({shown})"

    return f"{shown} (rounded)"


def _terminating(value: Fraction) -> str:
    """The decimal expansion, if it ends; only factors 2 and 5 in the denominator make it end."""
    rest, places = value.denominator, 0
    for factor in (10, 5, 2):
        while rest % factor == 0:
            rest //= factor
            places += 1

        if places > LONGEST_DECIMAL:
            return ""

    if rest != 1:
        return ""

    scaled = abs(value.numerator) * 10**places // value.denominator
    digits = str(scaled).rjust(places + 1, "0")
    whole, part = (digits[:-places], digits[-places:].rstrip("0")) if places else (digits, "")
    return f"{'-' if value < 0 else ''}{whole}{'.' + part if part else ''}"


def _significant(value: Fraction) -> str:
    short = decimal.Context(prec=SHOWN, Emax=MAX_DIGITS * 2, Emin=-MAX_DIGITS * 2)
    result = short.divide(decimal.Decimal(value.numerator), decimal.Decimal(value.denominator)).normalize(short)
    if result == 0:
        return "0"

    return f"{result:f}" if SMALLEST_PLAIN <= result.adjusted() < SHOWN else f"{result:e}"
