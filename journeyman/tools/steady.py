"""Which way a path takes through folders and links, and whether somebody who may write there can turn it elsewhere."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

LINKS = 40
"""That the kernel follows in one path."""


def is_steady(path: Path, changed: Sequence[Path]) -> bool:
    """Whether it leads where it did when somebody agreed to it: no step of it lies where a server may change it."""
    return not any(step.is_relative_to(each) for step in steps(path) for each in changed)


def steps(path: Path) -> Iterator[Path]:
    """Each folder and link that is looked at when a path is opened, by its own name, not one that leads there."""
    at, left, links = Path("/"), list(path.absolute().parts[1:])[::-1], 0
    while left and links <= LINKS:
        at = at.parent if (name := left.pop()) == ".." else at / name
        yield at
        if os.path.islink(at):  # noqa: PTH114 - which raises nothing where one may not look
            links += 1
            to = at.readlink()
            at = Path("/") if to.is_absolute() else at.parent
            left += [part for part in to.parts if part != "/"][::-1]
