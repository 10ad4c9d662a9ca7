"""The audit chain of a run: every commit carries a hash over all that the run had stored until then.

    link = SHA-256(previous link + `seq at length-of-body length-of-blobs ` + body + blobs + tokens)

It stands on the row that a commit stores, so that it costs 32 bytes and one hash a step. Changing, dropping or adding
an event anywhere changes every later link. A row names shared content by its hash, so the chain covers that too. What
it cannot show is a store rewritten as a whole by somebody who can compute hashes; keep a copy of the last link
elsewhere (`traces verify --json` prints it) for that.
"""

from hashlib import sha256

from journeyman.traces.codec import Row

START = b""
"""The link before a run's first."""


def seal(link: bytes, row: Row) -> bytes:
    """The link of a row, from the link of the row before it."""
    seq, at, body, blobs, tokens = row
    named = blobs or b""
    head = b"%b%d %d %d %d " % (link, seq, at, len(body), len(named))
    return sha256(b"".join((head, body, named, tokens or b""))).digest()
