"""The names that models are offered: `server__tool`, one for each tool and one tool for each."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256

from journeyman.traces.messages import ToolSpec

LONGEST = 64
MARK = 6
"""Hex digits of the identity's hash, where a name alone would not do; as many again while that does not do either."""


def named(specs: Sequence[ToolSpec], taken: Iterable[str] = ()) -> list[ToolSpec]:
    """The tools under their aliases. Each alias depends on the set of tools only, never on their order.

    Args:
        specs: tools of servers, each identity once.
        taken: names that others bear already.
    """
    digits = [MARK if len(_plain(spec.identity)) > LONGEST else 0 for spec in specs]
    taken = list(taken)
    while True:
        names = [_marked(spec.identity, mark) for spec, mark in zip(specs, digits, strict=True)]
        count = Counter([*names, *taken])
        clashing = [index for index, name in enumerate(names) if count[name] > 1 and digits[index] < LONGEST - 2 * MARK]
        if not clashing:
            return [spec.model_copy(update={"name": name}) for spec, name in zip(specs, names, strict=True)]

        for index in clashing:
            digits[index] += MARK


def may_be(alias: str, identity: str) -> bool:
    """Is it a name that the tool may have been given, whichever others there were?"""
    if "__" not in alias:
        return alias == identity.partition(".")[2]  # a function, or the agent's own: those have no alias

    return any(alias == _marked(identity, digits) for digits in range(0, LONGEST - MARK, MARK))


def _plain(identity: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", identity.replace(".", "__", 1))


def _marked(identity: str, digits: int) -> str:
    mark = sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
    return f"{_plain(identity)[: LONGEST - digits - 1]}_{mark}" if digits else _plain(identity)
