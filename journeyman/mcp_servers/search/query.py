"""From a question in plain words to a query of SQLite's FTS5: every word quoted, so that nothing in it is syntax."""

import re
from collections.abc import Sequence

MAX_WORDS = 16
PREFIX_FROM = 4
_COMMON = """
a about all am an and any are as at be been being but by can could did do does doing find for from get give had has have
having he her his how i if in into is it its just let list look many may me might more most much my need no not of on or
our please search shall she should show so some such tell than that the their them there these they this those to up us
was we were what when where which who whom whose why will with would you your
"""
STOP_WORDS = frozenset(_COMMON.split())
_PHRASE = re.compile(r'"([^"]+)"|(\S+)')
_WORD = re.compile(r"\w", re.UNICODE)


def words(question: str) -> list[str]:
    """What is worth looking for, each once: quoted phrases whole, no stop words unless there is nothing else."""
    found = [phrase or word for phrase, word in _PHRASE.findall(question)]
    found = [word.strip("?!.,;:()[]{}'`*") for word in found if _WORD.search(word)]
    meant = [word for word in found if word.lower().removesuffix("'s") not in STOP_WORDS] or found
    return list({word.lower(): word for word in reversed(meant) if _WORD.search(word)}.values())[::-1][:MAX_WORDS]


def all_of(terms: Sequence[str]) -> str:
    return " AND ".join(quoted(term) for term in terms)


def begins(term: str) -> str:
    """The word or, if it is longer, any word that begins so."""
    return quoted(term) + ("*" if len(term) >= PREFIX_FROM else "")


def quoted(term: str) -> str:
    return '"' + term.replace('"', " ").replace("\0", " ") + '"'
