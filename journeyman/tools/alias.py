"""The names that models are offered: `server__tool`, one for each tool and one tool for each."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256

from journeyman.traces.messages import ToolSpec

LONGEST = 64
MARK = 6
"""Hex digits of the identity's hash, where a name alone would not do."""


def named(specs: Sequence[ToolSpec], taken: Iterable[str] = ()) -> list[ToolSpec]:
    """The tools under their aliases. Each alias depends on the set of tools only, never on their order.

    Args:
        specs: tools of servers, each identity once.
        taken: names that others bear already.
    """
    plain = [_plain(spec) for spec in specs]
    count = Counter([*plain, *taken])
    return [
        spec.model_copy(update={"name": name if count[name] == 1 and len(name) <= LONGEST else _marked(name, spec)})
        for name, spec in zip(plain, specs, strict=True)
    ]


def _plain(spec: ToolSpec) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", f"{spec.server}__{spec.tool}")


def _marked(name: str, spec: ToolSpec) -> str:
    return f"{name[: LONGEST - MARK - 1]}_{sha256(spec.identity.encode()).hexdigest()[:MARK]}"
