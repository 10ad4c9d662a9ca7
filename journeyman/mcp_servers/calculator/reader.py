"""From what a model writes to a tree of arithmetic: kind where it is unambiguous, a clear refusal where it is not.

The text is cut into numbers, names and operators first; anything else stops here, so Python's parser never sees a
string, a keyword or an attribute. Numbers are handed over as their index, so that it never makes a float out of one.
"""

import ast
import re
from dataclasses import dataclass
from fractions import Fraction

from journeyman.errors import ToolError
from journeyman.mcp_servers.calculator.number import MAX_DIGITS

MAX_LENGTH = 1000
MAX_EXPONENT = 1000
LONGEST_NAME = 30

# Printed mathematics: times, middle dot, dot operator, divided by, division slash, minus, en dash, fixed space.
_SIGNS = str.maketrans("\u00d7\u00b7\u22c5\u00f7\u2215\u2212\u2013\u00a0", "***//-- ")
_TIMES = re.compile(r"(?<=[0-9)])\s+[xX]\s+(?=[0-9(.+-])")
_GROUPED = re.compile(r"(?<![\w.,])[0-9]{1,3}(?:,[0-9]{3})+(?![\w,])")
_CALL = re.compile(r"[A-Za-z]\w*\s*\(")
_ZEROS_AFTER_COMMA = re.compile(r"[0-9]\s*,0[0-9]")
_THREE_AFTER_COMMA = re.compile(r"[0-9],[0-9]{3}(?![0-9])")
_PERCENT_OF = re.compile(r"([0-9.]+)\s*(?:%|percent)\s*of\s+([0-9.]+)", re.IGNORECASE)
_PERCENT = re.compile(r"([0-9.]+)\s*(?:%(?!(?<=\s%)\s+[-+][0-9.(])\s*(?=$|[-+*/),])|percent\b)", re.IGNORECASE)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?!\w))|(?P<name>[A-Za-z]\w*)"
    r"|(?P<operator>\*\*|//|[-+*/%(),]))"
)


@dataclass(frozen=True, slots=True)
class Expression:
    tree: ast.expr
    numbers: tuple[Fraction, ...]
    """A constant in the tree is an index into these."""


VARIABLE = "v_"
"""Before a name that is none of those known: so it is never one of Python's words."""


def read(source: str, names: frozenset[str], *, variables: bool = False) -> Expression:
    """Parse an expression whose names are all among `names`, or else are `variables`, which then begin with `v_`.

    Raises:
        ToolError: it is no arithmetic; the message says how to write it.
    """
    if len(source) > MAX_LENGTH:
        raise ToolError(f"the expression has {len(source)} characters; at most {MAX_LENGTH} are allowed")

    numbers: list[Fraction] = []
    pieces: list[str] = []
    text = _tidy(source)
    end = len(text.rstrip())
    position = 0
    while position < end:
        token = _TOKEN.match(text, position)
        if token is None:
            raise ToolError(_unexpected(text[position:].strip()))

        pieces.append(_piece(token, numbers, names, variables=variables))
        position = token.end()

    return Expression(_parse(" ".join(pieces), source), tuple(numbers))


def _tidy(source: str) -> str:
    asked, _, rest = source.partition("=")
    text = (asked if rest.strip() in {"", "?"} else source).translate(_SIGNS).strip()
    text = _TIMES.sub(" * ", text)
    if not text:
        raise ToolError('the expression is empty; write for example "2 + 3"')

    if part := _PERCENT_OF.search(text):
        raise ToolError(f'% is the remainder here; for {part[0]} write "{part[1]} / 100 * {part[2]}"')

    if part := _PERCENT.search(text):
        raise ToolError(f'% is the remainder here; for {part[1]} percent write "{part[1]} / 100"')

    if not _CALL.search(text):
        return _GROUPED.sub(lambda group: group[0].replace(",", ""), text)

    # `max(1,234, 5)`: one comma means thousands, or the writer is careless about spaces; who knows.
    if _ZEROS_AFTER_COMMA.search(text) or (_THREE_AFTER_COMMA.search(text) and ", " in text):
        raise ToolError("write numbers without commas: 1000, not 1,000")

    return text


def _piece(token: re.Match[str], numbers: list[Fraction], names: frozenset[str], *, variables: bool) -> str:
    if number := token["number"]:
        numbers.append(_fraction(number))
        return str(len(numbers) - 1)

    name = token["name"]
    if name and variables and name.lower() not in names and name.isascii() and len(name) <= LONGEST_NAME:
        return VARIABLE + name

    if name and name.lower() not in names:
        raise ToolError(
            f"{name[:40]!r} is not known here; use numbers, + - * / // % ** ( ) and functions such as sqrt, round, max"
        )

    return name.lower() if name else token["operator"]


def _fraction(number: str) -> Fraction:
    mantissa, _, exponent = number.lower().partition("e")
    if len(mantissa) > MAX_DIGITS or (exponent and (len(exponent) > 5 or abs(int(exponent)) > MAX_EXPONENT)):  # noqa: PLR2004 - a sign and four digits
        raise ToolError(f"too large: {number[:20]}... (an exponent may go to {MAX_EXPONENT})")

    try:
        return Fraction(number.replace("_", "").removesuffix("."))
    except ValueError:
        raise ToolError(f"{number!r} is not a number") from None


def _parse(text: str, source: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, MemoryError, RecursionError):
        raise ToolError(_why(source)) from None


def _why(source: str) -> str:
    if source.count("(") != source.count(")"):
        return f"{source.count('(')} opening but {source.count(')')} closing parentheses"

    return f"{source[:80]!r} is not a complete expression; write it like 2 * (3 + 4)"


def _unexpected(rest: str) -> str:
    hints = {
        "^": "write ** for powers: 2 ** 3",
        ",": "write a decimal point, not a comma: 1.5",
        "!": "write factorial(5) for 5!",
        "=": "only an expression can be calculated, not an equation",
        "√": "write sqrt(2)",
        "$": "write numbers without units",
        "€": "write numbers without units",
        "[": "write ( ) instead of [ ]",
        "{": "write ( ) instead of { }",
    }
    if rest[0].isdigit():
        return f"{rest[:20]!r} is not a number; between two factors write *"

    return f"unexpected {rest[0]!r}; {hints.get(rest[0], 'use numbers, + - * / // % ** and ( )')}"
