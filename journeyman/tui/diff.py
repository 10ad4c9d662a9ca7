"""A change to a file as people read it: what went, what came, a little around it; side by side where there is room."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import zip_longest

from journeyman.tui.code import highlight
from journeyman.tui.items import Edit
from journeyman.tui.line import Line, Span, chop, fit, width_of

CONTEXT = 3
SPLIT = 140
"""Columns from which on old and new stand side by side."""
LONGEST = 4_000
"""Lines of one side that are compared; of longer files only what differs as a whole is shown."""

Row = tuple[str, int, str, int, str]
"""Kind (same, changed, gap), number and text of the old line, number and text of the new one; 0 where there is none."""


def summary(edit: Edit) -> str:
    """`+3 -1`."""
    kinds = [(bool(old), bool(new)) for kind, old, _, new, _ in rows(edit) if kind == "changed"]
    return f"+{sum(new for _, new in kinds)} -{sum(old for old, _ in kinds)}"


def shown(edit: Edit, width: int) -> list[Line]:
    """The change on lines of a width."""
    lines = _split(edit, width) if width >= SPLIT else _unified(edit, width)
    return list(lines)


def rows(edit: Edit) -> Iterator[Row]:
    """The lines that differ, with `CONTEXT` around them."""
    old, new = edit.old.splitlines(), edit.new.splitlines()
    if max(len(old), len(new)) > LONGEST:
        yield from (("changed", at, text, 0, "") for at, text in enumerate(old[:LONGEST], 1))
        yield from (("changed", 0, "", at, text) for at, text in enumerate(new[:LONGEST], 1))
        return

    for number, group in enumerate(SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(CONTEXT)):
        if number:
            yield "gap", 0, "", 0, ""

        for tag, i, i_end, j, j_end in group:
            if tag == "equal":
                yield from (("same", i + k + 1, old[i + k], j + k + 1, old[i + k]) for k in range(i_end - i))
            else:
                left = ((k + 1, old[k]) for k in range(i, i_end))
                right = ((k + 1, new[k]) for k in range(j, j_end))
                for (a, before), (b, after) in zip_longest(left, right, fillvalue=(0, "")):
                    yield "changed", a, before, b, after


def _unified(edit: Edit, width: int) -> Iterator[Line]:
    removed: list[Line] = []
    added: list[Line] = []
    for kind, a, before, b, after in rows(edit):
        if kind == "changed":
            removed += _side(a, "-", before, edit.path, width) if a else []
            added += _side(b, "+", after, edit.path, width) if b else []
            continue

        yield from (*removed, *added)
        removed, added = [], []
        yield from [(("     ⋮", "dim"),)] if kind == "gap" else _side(b, " ", after, edit.path, width)

    yield from (*removed, *added)


def _split(edit: Edit, width: int) -> Iterator[Line]:
    half = (width - 3) // 2
    for kind, a, before, b, after in rows(edit):
        if kind == "gap":
            yield (("     ⋮", "dim"),)
            continue

        changed = kind == "changed"
        left = _side(a, "-" if changed else " ", before, edit.path, half) if a else []
        right = _side(b, "+" if changed else " ", after, edit.path, half) if b else []
        for old, new in zip_longest(left, right, fillvalue=()):
            cut = fit(old, half)
            yield (*cut, (" " * (half - width_of(cut)), ""), (" │ ", "dim"), *new)


def _side(number: int, sign: str, text: str, path: str, width: int) -> list[Line]:
    """One line of a file, its number before it."""
    role = {"-": "removed", "+": "added"}.get(sign, "")
    code: tuple[Span, ...] = ((text, role),) if role else (highlight(text, path=path) or ((),))[0]
    lines = chop(code, width - 7)
    return [
        (((f"{number:>4} " if not at else "     "), "dim"), (f"{sign} ", role), *line) for at, line in enumerate(lines)
    ]
