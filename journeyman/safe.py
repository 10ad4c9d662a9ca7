"""Untrusted text, made fit to be shown to a person: nothing in it can move the cursor or hide.

What a terminal would act on or a reader would not see (control and format characters, bidirectional overrides,
zero-width and look-alike spaces, unpaired surrogates) is spelled out as `⟪U+202E⟫`. The bracket that begins such a
spelling is itself spelled out, so two different texts are never shown as the same characters; letters that look alike
are left as they are.
"""

import re
import unicodedata
from functools import lru_cache

LIMIT = 2000
"""Characters shown, unless told otherwise."""

PLAIN = re.compile(r"[ -~]*")
HIDDEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Shown as nothing, though Unicode files them under letters, marks and symbols."""
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
        shown = "".join([_visible(char, lines) for char in shown])

    left = len(text) - limit if limit is not None else 0
    if left <= 0:
        return shown

    return f"{shown} … +{len(text[limit:].encode('utf-8', 'surrogatepass')):,} bytes"


@lru_cache(4096)
def _visible(char: str, lines: bool) -> str:
    if char == "\n":
        return char if lines else NEWLINE

    suspect = char in {OPEN, NEWLINE} or char in HIDDEN or _is_variation(char)
    if not suspect and (char == " " or unicodedata.category(char)[0] not in "CZ"):
        return char

    return f"{OPEN}U+{ord(char):04X}⟫"


def _is_variation(char: str) -> bool:
    """Selectors that change how the character before them looks."""
    return "\u180b" <= char <= "\u180f" or "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
