"""How words are compared: what stands in a text, what it is called when it is spoken of, what looks like a secret."""

import re
from collections.abc import Iterator

SECRET = re.compile(r"(?<![\w-])(?:\d{6,}|\d{2,6}(?:-\d{2,6})+|(?=(?:[A-Za-z_]*\d){3})[A-Za-z0-9_]{6,})(?![\w-])")
"""What looks like a code, a key, the number of a card or a passport: no date, no telephone number of a village."""
LONG = 9
"""Digits from which a number written in groups is one of these."""


def plain(text: str) -> str:
    """As it is compared: in lower case (ASCII only, a Kelvin sign is no k), with single spaces."""
    return " ".join(text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass").split())


def spoken(name: str) -> tuple[str, ...]:
    """How a person speaks of it: by its name, a file also without dashes and ending, a mail without `Re:`."""
    return name, re.sub(r"[-_]+", " ", re.sub(r"^((re|fwd?|aw): *)+|\.\w{1,5}$", "", name))


def secrets_in(text: str) -> Iterator[str]:
    for token in SECRET.findall(text):
        if "-" not in token or len(token.replace("-", "")) >= LONG:
            yield token


def stands_in(value: str, text: str) -> bool:
    """As words of their own: `bob@x.org` does not stand in `jim.bob@x.org.uk`."""
    at = text.find(value)
    while at >= 0:
        before, after = text[max(0, at - 2) : at], text[at + len(value) : at + len(value) + 2]
        if not _joined(before[::-1]) and not _joined(after):
            return True

        at = text.find(value, at + 1)

    return False


def _joined(beside: str) -> bool:
    """Does what stands beside a word belong to it?"""
    if not beside:
        return False

    return beside[0].isalnum() or beside[0] == "_" or (beside[0] in ".@+-" and beside[1:].isalnum())


def address_of(url: str) -> str:
    return re.sub(r"^https?://", "", url).rstrip("/")


def leads_to(said: str, url: str) -> bool:
    """The very address, or a page below it with nothing handed along."""
    return url == said or (url.startswith(f"{said}/") and not re.search(r"[?#;=%\\@]|\.\.", url[len(said) :]))
