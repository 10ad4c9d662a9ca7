"""A stretch of a file's lines, small enough for a model, with a word on what was left out."""

from collections.abc import Iterable

from journeyman.errors import ToolError

MAX_CHARACTERS = 16_000
MAX_LINE = 2_000
MAX_LINES = 1_000


def excerpt(path: str, lines: list[str], start: int, count: int) -> str:
    """Lines `start` to `start + count - 1`, and where to go on if there are more.

    Raises:
        ToolError: the file has no such line.
    """
    if start < 1 or count < 1:
        raise ToolError("start and lines count from 1")

    if not lines:
        return f"{path} is empty"

    if start > len(lines):
        raise ToolError(f"{path} has only {_plural(len(lines), 'line')}; there is no line {start}")

    shown = _fitting(lines[start - 1 : start - 1 + min(count, MAX_LINES)])
    end = start - 1 + len(shown)
    if start == 1 and end == len(lines):
        return "\n".join(shown)

    more = f"; go on with start={end + 1}" if end < len(lines) else ""
    return "\n".join([*shown, f"[lines {start}-{end} of {len(lines)}{more}]"])


def long_excerpt(path: str, blocks: Iterable[bytes], start: int, count: int) -> str:
    """The same of a file that is too long to hold: it is read once, and only what is asked for is kept."""
    kept, end, line = bytearray(), start + min(count, MAX_LINES), 1
    for block in blocks:
        below = line + block.count(b"\n")
        if below >= start and line < end and len(kept) < 8 * MAX_CHARACTERS:
            pieces = block.split(b"\n")
            kept += b"\n".join(pieces[max(start - line, 0) : end - line])
            kept += b"\n" if line + len(pieces) > end else b""

        line = below

    if line < start:
        raise ToolError(f"{path} has only {_plural(line, 'line')}; there is no line {start}")

    shown = _fitting(kept.decode("utf-8", "replace").splitlines()[:count])
    last = start - 1 + len(shown)
    return "\n".join(
        [*shown, f"[lines {start}-{last} of {line}{f'; go on with start={last + 1}' if last < line else ''}]"]
    )


def _fitting(lines: list[str]) -> list[str]:
    """As many of the lines as fit, at least one; a very long one is cut."""
    shown: list[str] = []
    room = MAX_CHARACTERS
    for line in lines:
        cut = line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]} [... {len(line) - MAX_LINE} more characters]"
        room -= len(cut) + 1
        if room < 0 and shown:
            break

        shown.append(cut)

    return shown


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
