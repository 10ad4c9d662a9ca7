"""Replacing one piece of a text: exact, unique, and blind only to which newline the file uses."""

import difflib
import re

from journeyman.errors import ToolError
from journeyman.mcp_servers.files.text import NEWLINE, Text

COMPARED = 2_000
"""Lines looked at to say what the model may have meant."""
LISTED = 5


def replace(path: str, file: Text, old: str, new: str) -> str:
    """The file's whole text with the one occurrence of `old` replaced.

    Raises:
        ToolError: `old` is empty, the same as `new`, not there, or there more than once.
    """
    if not old:
        raise ToolError("old is empty; give the text to replace, or use write for the whole file")

    if old == new:
        raise ToolError("old and new are the same; nothing would change")

    pattern = r"(?:\r\n|\n|\r)".join(re.escape(piece) for piece in NEWLINE.split(old))
    places = [found.start() for found in re.finditer(f"(?={pattern})", file.text)]
    if not places:
        raise ToolError(f"{path} does not contain that text{_nearest(file, old)}")

    if len(places) > 1:
        lines = [str(_line_number(file.text, place)) for place in places[:LISTED]]
        where = ", ".join(lines) + (", ..." if len(places) > LISTED else "")
        raise ToolError(
            f"{path} contains that text {len(places)} times (lines {where}); give more of the text around it"
        )

    found = re.compile(pattern).match(file.text, places[0])
    end = found.end() if found else places[0]
    return file.text[: places[0]] + file.newline.join(NEWLINE.split(new)) + file.text[end:]


def _line_number(text: str, place: int) -> int:
    return len(NEWLINE.findall(text[:place])) + 1


def _nearest(file: Text, old: str) -> str:
    wanted = next((line.strip() for line in NEWLINE.split(old) if line.strip()), "")[:200]
    lines = [line.strip()[:200] for line in file.lines[:COMPARED]]
    close = difflib.get_close_matches(wanted, lines, n=1, cutoff=0.5)
    return f"; nearest is line {lines.index(close[0]) + 1}: {close[0]}" if close else ""
