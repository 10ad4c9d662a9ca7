"""A text cut into pieces that are found as one: paragraphs with the headings above them.

Within a piece the lines stay apart, because a hit shows one of them; only prose that was wrapped at some width is put
together again, so that a sentence is not cut in the middle.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_LINES = 20
MAX_CHARACTERS = 4_000
WRAPPED_FROM = 50
"""A line at least this long that ends without punctuation goes on in the next one."""

DEEPEST = 6
_HEADING = re.compile(r"(#{1,6})\s+(\S.*)")
_STARTS_ANEW = re.compile(r"\s*(?:[-*+>|#`]|\d+[.)]\s|$)")
_ENDS = (".", "!", "?", ":", ";", "|", "`")
PROSE = (".md", ".markdown", ".rst", ".txt", "")


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    """Where it begins, counted from 1."""
    text: str
    heading: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    lines: tuple[Line, ...]
    trail: tuple[str, ...] = ()
    """The headings above it, outermost first; its own are not among them."""

    @property
    def body(self) -> str:
        return "\n".join(line.text for line in self.lines)


def chunks(lines: Sequence[str], suffix: str) -> Iterator[Chunk]:
    """The pieces of a file whose name ends in `suffix`, in order; blank lines are in none."""
    trail: dict[int, str] = {}
    piece: list[Line] = []
    above: tuple[str, ...] = ()
    for line in _lines(lines, prose=suffix in PROSE):
        ends = line is None or line.heading or _full(piece)
        # Headings alone are no piece: they wait for what is below them.
        if ends and not all(part.heading for part in piece):
            yield Chunk(tuple(piece), above)
            piece = []

        if line is None:
            continue

        level = _descend(trail, line)
        if not piece:
            above = tuple(heading for depth, heading in trail.items() if depth < level)

        piece.append(line)

    if piece:
        yield Chunk(tuple(piece), above)


def _lines(lines: Sequence[str], *, prose: bool) -> Iterator[Line | None]:
    """Logical lines; None for a blank one, where a piece ends."""
    fenced = False
    number = 0
    while number < len(lines):
        text = lines[number].strip()
        first = number + 1
        number += 1
        if text.startswith("```"):
            fenced = not fenced

        while prose and not fenced and number < len(lines) and _goes_on(lines[number - 1], lines[number], text):
            text = f"{text} {lines[number].strip()}"
            number += 1

        head = prose and not fenced and _is_heading(text, lines[number] if number < len(lines) else "")
        if not (prose and _is_rule(text)):
            yield Line(first, text, head) if text else None


def _is_heading(text: str, following: str) -> bool:
    """Also the first row of a table: it says what the rows below it are."""
    return _HEADING.match(text) is not None or ("|" in text and _is_rule(following))


def _is_rule(text: str) -> bool:
    """The line between a table's first row and the others."""
    return "-" in text and "|" in text and set(text) <= set(" \t:|-")


def _goes_on(line: str, following: str, text: str) -> bool:
    wrapped = len(line) >= WRAPPED_FROM and not line.rstrip().endswith(_ENDS) and not text.startswith(("#", "|"))
    return wrapped and len(text) < MAX_CHARACTERS and not _STARTS_ANEW.match(following)


def _full(piece: list[Line]) -> bool:
    return len(piece) >= MAX_LINES or sum(len(line.text) for line in piece) > MAX_CHARACTERS


def _descend(trail: dict[int, str], line: Line) -> int:
    """Take a heading into the trail; how deep it is there, or for any other line below everything."""
    found = _HEADING.match(line.text) if line.heading else None
    if found is None:
        return DEEPEST + 1

    level = len(found[1])
    for deeper in [known for known in trail if known >= level]:
        del trail[deeper]

    trail[level] = found[2]
    return level
