"""Is the answer the expected one: the same number, the same text, or a text that contains it.

An answer that is there and wrong scores 0. No answer to judge at all (the run ended before it gave one) is `None`
with the reason: whoever counts decides what that is worth.
"""

import re
from collections.abc import Sequence
from fractions import Fraction

from journeyman.verifiers.score import Score

MINUS = "\N{MINUS SIGN}"
_INTEGER = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
NUMBER = re.compile(rf"(?<![\w.])[-{MINUS}]?{_INTEGER}(?:\.\d+)?(?:[eE][-+]?\d+)?(?:\s*/\s*\d+)?(?!\w)")
"""An integer, a decimal (thousands may be grouped by commas), a power of ten or a fraction."""
MAX_EXPONENT = 400
REFUSALS = re.compile(r"\b(?:not|no|cannot|can't|couldn't|unable|denied|refused|failed)\b", re.IGNORECASE)


def numeric(answer: str | None, expected: str, *, tolerance: float = 1e-6) -> Score:
    """The answer's number is the expected one, to a relative tolerance.

    An answer may say more than the number, but where it names several only the first counts: `17/3 (5.67)` is 17/3.
    Anything but digits around the number in a short answer (a unit, a full stop) is ignored.

    Raises:
        ValueError: `expected` is no number.
    """
    wanted = number(expected)
    if wanted is None:
        raise ValueError(f"{expected!r} is no number")

    if answer is None:
        return _unjudged("numeric/1")

    found = number(answer)
    right = found is not None and abs(found - wanted) <= Fraction(tolerance) * max(abs(wanted), 1)
    return Score(value=float(right), verifier="numeric/1", evidence=f"{_short(answer)} against {expected}")


def exact(answer: str | None, expected: str) -> Score:
    """The same text; case, spaces at the ends of lines, quotes around it and a full stop behind it do not count."""
    if answer is None:
        return _unjudged("exact/1")

    right = normalised(answer) == normalised(expected)
    return Score(value=float(right), verifier="exact/1", evidence=f"{_short(answer)} against {_short(expected)}")


def contains(answer: str | None, expected: str) -> Score:
    """The expected text stands somewhere in the answer, as whole words."""
    if answer is None:
        return _unjudged("contains/1")

    right = re.search(rf"(?<!\w){re.escape(normalised(expected))}(?!\w)", normalised(answer)) is not None
    return Score(value=float(right), verifier="contains/1", evidence=f"{_short(expected)} in {_short(answer)}")


def refusal(answer: str | None) -> Score:
    """The answer says that it could not be done, and claims nothing else: no number, at most a sentence or two."""
    if answer is None:
        return _unjudged("refusal/1")

    right = REFUSALS.search(answer) is not None and len(answer.split()) <= 40  # noqa: PLR2004 - a sentence or two
    return Score(value=float(right), verifier="refusal/1", evidence=_short(answer))


def talk(answer: str | None, calls: Sequence[str]) -> Score:
    """Words, and no tool called for them."""
    if answer is None:
        return _unjudged("talk/1")

    right = bool(answer.strip()) and not calls
    return Score(value=float(right), verifier="talk/1", evidence=f"{_short(answer)} after {len(calls)} calls")


def number(text: str) -> Fraction | None:
    """The first number in a text; None if there is none, or one too large to write down."""
    found = NUMBER.search(text)
    if found is None:
        return None

    written = found.group().replace(",", "").replace(MINUS, "-").replace(" ", "")
    numerator, _, denominator = written.partition("/")
    exponent = re.search(r"[eE]([-+]?\d+)$", numerator)
    if exponent and abs(int(exponent[1])) > MAX_EXPONENT:
        return None

    return Fraction(numerator) / Fraction(denominator or 1) if Fraction(denominator or 1) else None


def normalised(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines()]
    return "\n".join(lines).strip("\"'`").removesuffix(".").strip("\"'`").casefold()


def _unjudged(verifier: str) -> Score:
    return Score(value=None, status="not_applicable", verifier=verifier, evidence="there is no answer")


def _short(text: str) -> str:
    return repr(text if len(text) <= 120 else text[:117] + "...")  # noqa: PLR2004
