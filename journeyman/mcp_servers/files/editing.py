"""Replacing one piece of a text: exact, unique, and blind only to which newline the file uses."""

import difflib
import re

from journeyman.errors import ToolError
from journeyman.mcp_servers.files.text import NEWLINE, Text

COMPARED = 2_000
"""Lines looked at to say what the model may have meant."""
LISTED = 5
COUNTED = 100
_PAIR = re.compile(r"\r\n")


def replace(path: str, file: Text, old: str, new: str) -> str:
    """The file's whole text with the one occurrence of `old` replaced.

    Raises:
        ToolError: `old` is empty, the same as `new`, not there, or there more than once.
    """
    if not old:
        raise ToolError("old is empty; give the text to replace, or use write for the whole file")

    if old == new:
        raise ToolError("old and new are the same; nothing would change")

    text, wanted = _unified(file.text), _unified(old)
    places = _places(text, wanted)
    if not places:
        raise ToolError(f"{path} does not contain that text{_nearest(file, old)}")

    if len(places) > 1:
        lines = ", ".join(str(text.count("\n", 0, place) + 1) for place in places[:LISTED])
        lines += ", ..." if len(places) > LISTED else ""
        many = f"{COUNTED} or more" if len(places) == COUNTED else str(len(places))
        raise ToolError(f"{path} contains that text {many} times (lines {lines}); give more of the text around it")

    start, end = _raw(file.text, places[0]), _raw(file.text, places[0] + len(wanted))
    return file.text[:start] + file.newline.join(NEWLINE.split(new)) + file.text[end:]


def _unified(text: str) -> str:
    return NEWLINE.sub("\n", text)


def _places(text: str, wanted: str) -> list[int]:
    """Where it occurs, overlapping or not; counting stops at `COUNTED`."""
    places: list[int] = []
    place = text.find(wanted)
    while place >= 0 and len(places) < COUNTED:
        places.append(place)
        place = text.find(wanted, place + 1)

    return places


def _raw(text: str, place: int) -> int:
    """The place in the text as it is of a place in the text with unified newlines."""
    for pair, found in enumerate(_PAIR.finditer(text)):
        if found.start() - pair >= place:
            return place + pair

    return place + text.count("\r\n")


def _nearest(file: Text, old: str) -> str:
    wanted = next((line.strip() for line in NEWLINE.split(old) if line.strip()), "")[:200]
    lines = [line.strip()[:200] for line in file.lines[:COMPARED]]
    close = difflib.get_close_matches(wanted, lines, n=1, cutoff=0.5)
    return f"; nearest is line {lines.index(close[0]) + 1}: {close[0]}" if close else ""
