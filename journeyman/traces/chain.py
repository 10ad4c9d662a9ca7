"""The audit chain of a run: every commit carries a hash over all that the run had stored until then.

    link = SHA-256(previous link + the commit's events, each as the line `seq at type SHA-256-of-tokens-or-dash body`)

It stands on the last event of each commit, so that it costs 32 bytes and one hash a step. Changing, dropping or adding
an event anywhere changes every later link. A body names its blobs by their hashes, so the chain covers them too. What
it cannot show is a store rewritten as a whole by somebody who can compute hashes; keep a copy of the last link
elsewhere (`traces verify --json` prints it) for that.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

START = b""
"""The link before a run's first."""


class Entry(NamedTuple):
    seq: int
    at: int
    type: str
    body: str
    tokens: bytes | None


class Broken(NamedTuple):
    seq: int
    why: str


def line(seq: int, at: int, kind: str, body: str, tokens: bytes | None) -> str:
    """An event as the chain sees it; a body is JSON, so it has no newline."""
    return f"{seq} {at} {kind} {'-' if tokens is None else sha256(tokens).hexdigest()} {body}\n"


def seal(link: bytes, lines: Iterable[str]) -> bytes:
    """The next link."""
    return sha256(link + "".join(lines).encode()).digest()


class Chain:
    """Re-derives a run's links, an event at a time."""

    def __init__(self) -> None:
        self.link = START
        """The last one that was stored and is right."""
        self._open: list[str] = []
        self._first = 1
        self._seq = 0

    def add(self, entry: Entry, link: bytes | None) -> Iterator[Broken]:
        """Take the next event with the link stored on it, if any; tell what does not fit."""
        if entry.seq != self._seq + 1:
            yield Broken(entry.seq, f"event {self._seq + 1} is missing")

        self._seq = entry.seq
        self._open.append(line(*entry))
        if link is None:
            return

        if seal(self.link, self._open) != link:
            yield Broken(entry.seq, f"events {self._first} to {entry.seq} are not what was stored")

        self.link = link
        self._first = entry.seq + 1
        self._open.clear()

    @property
    def unsealed(self) -> int:
        """Events after the last link; a store from before the chain has only such."""
        return len(self._open)

    def seal_open(self, lines: Iterable[str]) -> bytes:
        """The link that these lines, added to a run read back from the store, will carry."""
        return seal(self.link, [*self._open, *lines])
