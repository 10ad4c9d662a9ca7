"""Two runs side by side, on a terminal."""

from collections.abc import Sequence

import click

from journeyman.safe import safe
from journeyman.traces.diff import Difference
from journeyman.traces.transcript import lines
from journeyman.traces.writer import Stored


def show_difference(difference: Difference, left: Sequence[Stored], right: Sequence[Stored]) -> None:
    """What the runs have in common in a line, then each from where they part."""
    if difference.setup:
        click.echo(f"Set up otherwise: {', '.join(difference.setup)}.")

    if difference.same:
        click.echo(f"The same: {difference.events} events.")
        return

    where = f"they part in step {difference.step}" if difference.step else "they part before the first step"
    click.echo(f"The same for {difference.events} events; {where}.")
    for mark, stored, at in (("-", left, difference.left), ("+", right, difference.right)):
        _show_rest(mark, stored, at)


def _show_rest(mark: str, stored: Sequence[Stored], at: int | None) -> None:
    if at is None:
        click.echo(f"{mark} (has no more)")
        return

    for each in stored[at:]:
        for line in lines(each.event, lambda text: safe(text, 300)):
            click.echo(f"{mark} {line}")
