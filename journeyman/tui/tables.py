"""Tables of an answer's Markdown."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from journeyman.tui.line import Line, Span, trimmed, width_of, wrap

GAP = "  "
NARROWEST = 4


def table(tokens: Sequence[Any], width: int, inline: Callable[[Any, str], Iterator[Span]]) -> list[Line]:
    """The table between two tokens of a parser, its cells wrapped where they do not fit."""
    rows: list[list[Line]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            role = "bold" if len(rows) == 1 else ""
            rows[-1].append(tuple((text.replace("\n", " "), how) for text, how in inline(token, role)))

    widths = fitted([[width_of(cell) for cell in row] for row in rows], width)
    lines = [line for row in rows[:1] for line in laid(row, widths)]
    lines.append((("─" * min(width, sum(widths) + len(GAP) * (len(widths) - 1)), "dim"),))
    return [*lines, *(line for row in rows[1:] for line in laid(row, widths))]


def fitted(lengths: Sequence[Sequence[int]], width: int) -> list[int]:
    """Widths of columns: what they need, and where that is too much the widest give way."""
    columns = max(map(len, lengths), default=0)
    widths = [max((row[at] for row in lengths if at < len(row)), default=1) or 1 for at in range(columns)]
    room = width - len(GAP) * (columns - 1)
    while sum(widths) > room and max(widths) > NARROWEST:
        widest = widths.index(max(widths))
        second = max((each for each in widths if each < widths[widest]), default=NARROWEST)
        widths[widest] = max(NARROWEST, second, widths[widest] - (sum(widths) - room))
        if widths[widest] == max(widths) and widths.count(widths[widest]) > 1:
            share = (sum(widths) - room) // widths.count(widths[widest]) or 1
            most = widths[widest]
            widths = [max(NARROWEST, each - share) if each == most else each for each in widths]

    return widths


def laid(row: Sequence[Line], widths: Sequence[int]) -> list[Line]:
    """One row of cells, as many lines as its tallest cell has."""
    cells = [wrap(cell, width) for cell, width in zip(row, widths, strict=False)]
    lines: list[Line] = []
    for number in range(max(map(len, cells), default=0)):
        spans: list[Span] = []
        for cell, width in zip(cells, widths, strict=False):
            line = cell[number] if number < len(cell) else ()
            spans += [*line, (" " * max(0, width - width_of(line)) + GAP, "")]

        lines.append(trimmed(spans))

    return lines
