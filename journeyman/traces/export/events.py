"""The events themselves, one JSON object a line, runs one after another: nothing is lost."""

from collections.abc import Iterator, Sequence

from journeyman.traces.writer import Stored

FOR_TRAINING = False


def lines(run: Sequence[Stored]) -> Iterator[str]:
    return (each.json() for each in run)
