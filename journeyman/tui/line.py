"""Lines of styled text, before any colour is chosen: what all renderers make and all widgets show.

A line is a tuple of spans, a span is text and the names of its roles (`"dim"`, `"accent bold"`); `palette.py` gives
roles their colours. Widths are terminal cells.
"""

import re
from collections.abc import Iterable, Iterator

from rich.cells import cell_len, chop_cells

Span = tuple[str, str]
Line = tuple[Span, ...]

_PIECES = re.compile(r"\s+|\S+")


def plain(line: Line) -> str:
    return "".join(text for text, _ in line)


def width_of(line: Iterable[Span]) -> int:
    return sum(cell_len(text) for text, _ in line)


def wrap(spans: Iterable[Span], width: int, *, first: Line = (), rest: Line | None = None) -> list[Line]:
    """Spans on lines of `width` cells at most, broken between words where there are any.

    Args:
        spans: text without newlines.
        width: of the whole line, at least 1.
        first: stands before the first line.
        rest: before the others; spaces as wide as `first` where it is not given.
    """
    indent = width_of(first)
    before = rest if rest is not None else ((" " * indent, ""),) if indent else ()
    room = max(1, width - indent)
    lines = list(_filled(spans, room))
    return [(*(before if at else first), *line) for at, line in enumerate(lines)] or [first]


def _filled(spans: Iterable[Span], room: int) -> Iterator[Line]:
    line: list[Span] = []
    used = 0
    for piece, role in _pieces(spans, room):
        length = cell_len(piece)
        if used + length > room:
            yield trimmed(line)
            line, used = [], 0
            if piece.isspace():
                continue

        if line and line[-1][1] == role:
            line[-1] = (line[-1][0] + piece, role)
        else:
            line.append((piece, role))

        used += length

    if line:
        yield trimmed(line)


def _pieces(spans: Iterable[Span], room: int) -> Iterator[Span]:
    """Words and spaces, none longer than a line."""
    for text, role in spans:
        for piece in _PIECES.findall(text):
            if len(piece) > room // 2 and cell_len(piece) > room:
                yield from ((part, role) for part in chop_cells(piece, max(room, 2)))
            else:
                yield piece, role


def trimmed(line: list[Span]) -> Line:
    """Without the spaces at its end."""
    while line and line[-1][0].isspace():
        line.pop()

    if line and line[-1][0].endswith(" "):
        line[-1] = (line[-1][0].rstrip(), line[-1][1])

    return tuple(line)


def chop(spans: Iterable[Span], width: int) -> list[Line]:
    """Spans on lines of `width` cells, broken anywhere: for code and output, where spaces mean something."""
    lines: list[list[Span]] = [[]]
    room = max(2, width)
    left = room
    for text, role in spans:
        head, rest = _split(text, left)
        if head:
            lines[-1].append((head, role))
            left -= cell_len(head)

        for piece in chop_cells(rest, room) if rest else ():
            lines.append([(piece, role)])
            left = room - cell_len(piece)

    return [tuple(line) for line in lines]


def _split(text: str, width: int) -> tuple[str, str]:
    """What fits into `width` cells, and the rest."""
    if cell_len(text) <= width:
        return text, ""

    head = chop_cells(text[: width + 1], width)[0] if width > 1 else ""
    head = head if cell_len(head) <= width else ""
    return head, text[len(head) :]


def fit(line: Line, width: int) -> Line:
    """The line cut to `width` cells, with a mark where something is missing."""
    if width_of(line) <= width:
        return line

    head = chop(line, max(1, width - 1))[0]
    return (*head, ("…", "dim"))


def ends(left: Line, right: Line, width: int) -> Line:
    """One line with something at either end; the left one gives way."""
    room = width - width_of(right)
    if room <= 1:
        return fit(left, width)

    left = fit(left, room - 1)
    return (*left, (" " * (room - width_of(left)), ""), *right)
