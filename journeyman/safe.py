"""Untrusted text, made fit to be shown to a person: nothing in it can move the cursor or hide.

What a terminal would act on or a reader would not see (control and format characters, bidirectional overrides,
zero-width and look-alike spaces, unpaired surrogates) is spelled out as `⟪U+202E⟫`. So are letters that pass for Latin
ones: where a word mixes them with Latin letters or has nothing else, and full-width and mathematical ones anywhere.
The bracket that begins such a spelling is itself spelled out, so two different texts are never shown as the same.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

LIMIT = 2000
"""Characters shown, unless told otherwise."""

PLAIN = re.compile(r"[ -~]*")
HIDDEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Shown as nothing, though Unicode files them under letters, marks and symbols."""
TWINS = frozenset("аеорсухіјѕԁһӏқьвкмнтгАВЕЅІЈКМНОРСТУХҮԌԚԜαορνικτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧօսոցհԼՏՕꭰꮪᎪᏟᎬ")
"""Letters of other scripts that look like Latin ones (Unicode's confusables, the single ones)."""
MIXED = re.compile(r"[^\W\d_](?:[^\W_]|[.@-](?=\w))*")
JOINERS = frozenset("\ufe0e\ufe0f\u200c\u200d")
"""They choose how emoji and letters look; without them each is shown by itself."""
MARKS = 4
"""Accents on one letter that are shown."""
OPEN = "⟪"
NEWLINE = "⏎"


def safe(text: str, limit: int | None = LIMIT, *, lines: bool = False) -> str:
    """The text on one line (`⏎` for its newlines), or on several with `lines`; cut with a note of what is left out.

    Args:
        text: anything.
        limit: characters of the text that are shown; None for all.
        lines: keep newlines as they are.
    """
    shown = text if limit is None else text[:limit]
    if not PLAIN.fullmatch(shown):
        suspects = _suspects(shown) | _crowding(shown)
        shown = "".join([_spelled(char) if at in suspects else _visible(char, lines) for at, char in enumerate(shown)])

    left = len(text) - limit if limit is not None else 0
    if left <= 0:
        return shown

    return f"{shown} … +{len(text[limit:].encode('utf-8', 'surrogatepass')):,} bytes"


def prose(text: str) -> str:
    """What is read at length rather than decided on, on several lines: nothing in it can act on a terminal.

    Unlike `safe` it leaves letters of all scripts as they are, makes tabs and wide spaces plain ones, and drops what
    only joins emoji. More than `MARKS` accents on one letter are spelled out.
    """
    return "\n".join(
        line if PLAIN.fullmatch(line) else _readable(line) for line in text.replace("\r\n", "\n").split("\n")
    )


def _readable(line: str) -> str:
    line = line.expandtabs(4)
    crowding = _crowding(line)
    return "".join([_spelled(char) if at in crowding else _told(char) for at, char in enumerate(line)])


def _crowding(text: str) -> set[int]:
    """Where accents stand that are more than `MARKS` on one letter: they would cover the lines around."""
    found: set[int] = set()
    marks = 0
    if text.isascii():
        return found

    for at, char in enumerate(text):
        marks = marks + 1 if not char.isascii() and unicodedata.combining(char) else 0
        if marks > MARKS:
            found.add(at)

    return found


@lru_cache(4096)
def _told(char: str) -> str:
    if char in JOINERS:
        return ""

    category = unicodedata.category(char)
    if category == "Zs":
        return " "

    return _spelled(char) if category[0] in "CZ" or char in HIDDEN or char == OPEN or _is_variation(char) else char


def shown_call(tool: str, arguments: Mapping[str, Any]) -> list[str]:
    """A call in full, a line for each argument and for each line of a text in it: no two calls look the same.

    Continued lines begin with a bar, which no argument's name can be mistaken for.
    """
    lines = [safe(tool, None)]
    for name, value in arguments.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        first, *rest = safe(text, None, lines=True).split("\n")
        kind = "=" if isinstance(value, str) else ":="
        lines += [
            f"  {json.dumps(safe(name, None), ensure_ascii=False)} {kind} {first}",
            *(f"  | {line}" for line in rest),
        ]

    return lines


def _suspects(text: str) -> set[int]:
    """Where letters stand that pass for others."""
    found: set[int] = set()
    for word in MIXED.finditer(text):
        letters = [(at, char) for at, char in enumerate(word.group(), word.start()) if char.isalpha()]
        twins = {at for at, char in letters if char in TWINS}
        if twins and (len(twins) == len(letters) > 1 or any(char.isascii() for _, char in letters)):
            found |= twins

    return found


def _spelled(char: str) -> str:
    return f"{OPEN}U+{ord(char):04X}⟫"


def _is_styled(char: str) -> bool:
    """A full-width, circled or mathematical form of an ASCII letter or sign: another program may take it for that."""
    if char.isascii() or unicodedata.category(char)[0] not in "LPSN" or unicodedata.category(char) == "No":
        return False

    plain = unicodedata.normalize("NFKC", char)
    return len(plain) == 1 and plain.isascii()


@lru_cache(4096)
def _visible(char: str, lines: bool) -> str:
    if char == "\n":
        return char if lines else NEWLINE

    suspect = char in {OPEN, NEWLINE} or char in HIDDEN or _is_variation(char) or _is_styled(char)
    if not suspect and (char == " " or unicodedata.category(char)[0] not in "CZ"):
        return char

    return _spelled(char)


def _is_variation(char: str) -> bool:
    """Selectors that change how the character before them looks."""
    return "\u180b" <= char <= "\u180f" or "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
