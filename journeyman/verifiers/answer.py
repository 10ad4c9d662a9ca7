"""Is the answer the expected one: the same number, the same text, or a text that contains it.

An answer that is there and wrong scores 0. No answer to judge at all (the run ended before it gave one) is not scored:
whoever counts decides what that is worth.
"""

import re
from fractions import Fraction

from journeyman.verifiers.case import Case
from journeyman.verifiers.check import verifier
from journeyman.verifiers.score import Score, short

MINUS = "\N{MINUS SIGN}"
_INTEGER = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
NUMBER = re.compile(rf"(?<![\w.])[-{MINUS}]?{_INTEGER}(?:\.\d+)?(?:[eE][-+]?\d+)?(?:\s*/\s*\d+)?(?!\w)")
"""An integer, a decimal (thousands may be grouped by commas), a power of ten or a fraction."""
STATED = re.compile(r"^.*(?:=|\bis\b)(?=.*\d)")
"""What leads up to the number in a sentence or an equation."""
MAX_EXPONENT = 400
CHOICES = re.compile(r"(?:^|[(*\s:\[{])([A-Ja-j])(?=$|[)*.,:;\]}]|\s*$)", re.MULTILINE)
A_SENTENCE_OR_TWO = 40
REFUSALS = re.compile(r"\b(?:not|no|cannot|can't|couldn't|unable|denied|refused|failed)\b", re.IGNORECASE)


@verifier("numeric/2")
def numeric(case: Case, *, expected: str, tolerance: float = 1e-6) -> Score:
    """The answer's number is the expected one, to a relative tolerance.

    An answer that names several different numbers names none, or one could list many and be right: `17/3 (5.67)` is
    17/3, because 5.67 is that rounded, and in an answer of one line what stands before the last `=` or `is` does not
    count: `37 * 43 - 12 = 1579`. Anything but digits around the number (a unit, a full stop) is ignored.

    Raises:
        ValueError: `expected` is no number.
    """
    wanted = number(expected)
    if wanted is None:
        raise ValueError(f"{expected!r} is no number")

    said = (case.answer or "").strip()
    found = [each.group() for each in NUMBER.finditer(said if "\n" in said else STATED.sub("", said) or said)]
    near = Fraction(tolerance) * max(abs(wanted), 1)
    exact = any((value := number(each)) is not None and abs(value - wanted) <= near for each in found)
    right = exact and all(_rounds(each, wanted, near) for each in found)
    return Score.of(right, f"{short(said)} against {expected}")


@verifier("exact/1")
def exact(case: Case, *, expected: str | list[str]) -> Score:
    """The same text, or one of those; case, spaces at line ends, quotes around it and a full stop do not count."""
    wanted = [expected] if isinstance(expected, str) else expected
    right = normalised(case.answer or "") in {normalised(each) for each in wanted}
    return Score.of(right, f"{short(case.answer or '')} against {' or '.join(map(short, wanted))}")


@verifier("contains/2")
def contains(case: Case, *, expected: str, words: int = 60) -> Score:
    """The expected text stands in the answer, as whole words, among at most `words` others.

    Without that bound an answer that recites everything it has read would always be right.
    """
    answer, wanted = normalised(case.answer or ""), normalised(expected)
    there = re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", answer) is not None
    right = there and len(answer.split()) <= len(wanted.split()) + words
    return Score.of(right, f"{short(expected)} in {short(case.answer or '')}")


@verifier("refusal/1")
def refusal(case: Case) -> Score:
    """The answer says that it could not be done, and claims nothing else: no number, at most a sentence or two."""
    answer = case.answer or ""
    return Score.of(REFUSALS.search(answer) is not None and len(answer.split()) <= A_SENTENCE_OR_TWO, short(answer))


@verifier("talk/1")
def talk(case: Case) -> Score:
    """Words, and no tool called for them."""
    right = bool((case.answer or "").strip()) and not case.calls
    return Score.of(right, f"{short(case.answer or '')} after {len(case.calls)} calls")


@verifier("choice/1")
def choice(case: Case, *, expected: str) -> Score:
    """The letter of a multiple choice: the last one the answer names by itself, `(C)`, `**C**` or `answer: C`."""
    named = CHOICES.findall(case.answer or "")
    found = next((letter for letter in reversed(named) if letter), "")
    return Score.of(found.upper() == expected.strip().upper(), f"{found or 'no letter'} against {expected}")


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


def _rounds(written: str, value: Fraction, near: Fraction) -> bool:
    """Whether a number, to the digits it is written with, is that value."""
    found = number(written)
    decimals = len(written.partition(".")[2]) if "/" not in written and "e" not in written.lower() else 0
    unit = Fraction(1, 2 * 10**decimals) if decimals else 0
    return found is not None and abs(found - value) <= max(near, unit)


def normalised(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines()]
    return "\n".join(lines).strip("\"'`").removesuffix(".").strip("\"'`").casefold()
