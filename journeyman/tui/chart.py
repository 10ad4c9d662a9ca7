"""Shares over time, as lines of text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from journeyman.tui.line import Line

HEIGHT = 10
BARS = "▁▂▃▄▅▆▇█"


class Series(NamedTuple):
    name: str
    sign: str
    role: str
    shares: Mapping[int, float]
    """By column: 0 to 1."""


def curves(series: Sequence[Series], columns: int, width: int, title: str) -> Iterator[Line]:
    """Points of several series over the same columns; `◉` where two meet."""
    step = max(1, min(8, (width - 8) // max(1, columns)))
    yield ((f"{title}   ", "bold"), *((f"{each.sign} {each.name}  ", each.role) for each in series))
    rows = [[(" ", "")] * (step * columns) for _ in range(HEIGHT + 1)]
    for each in series:
        for column, share in each.shares.items():
            row = rows[round((1 - share) * HEIGHT)]
            row[column * step] = ("◉", "good") if row[column * step][1] else (each.sign, each.role)

    for number, row in enumerate(rows):
        label = f"{1 - number / HEIGHT:.1f}" if number % 5 == 0 else "   "
        yield ((f"{label} │", "dim"), *row)

    yield ((f"    └{'─' * (step * columns)}", "dim"),)


def spark(values: Sequence[float], width: int) -> str:
    """How a number went, the least and the most of it as low and high as bars go."""
    places = min(width, len(values))
    means = []
    for at in range(places):
        part = values[at * len(values) // places : (at + 1) * len(values) // places]
        means.append(sum(part) / len(part))

    low, high = min(means, default=0.0), max(means, default=0.0)
    return "".join(BARS[round((mean - low) / (high - low) * 7) if high > low else 0] for mean in means)
