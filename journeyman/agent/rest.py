"""Long results: a model reads as much as its window bears, and the rest when it makes the same call again.

Only of calls that change nothing: another call might mean to do it twice. The rest is kept in memory; a run that is
taken up later by another process makes the call anew.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from journeyman.traces.messages import ToolSpec

LEFT_OUT = "more characters were left out]"
GO_ON = "more characters: make the same call again to read on]"
KEPT = 16
"""Rests that are kept at once."""


@dataclass(slots=True)
class Rests:
    """What of a run's results was not read yet."""

    keeps: bool = True
    """False in a replay, where every call comes to what was recorded."""
    _rests: dict[str, str] = field(default_factory=dict)

    def take(self, spec: ToolSpec, arguments: Mapping[str, JsonValue]) -> str | None:
        """What an earlier result of this very call left; None where it left nothing."""
        return self._rests.pop(_key(spec, arguments), None) if self._rests else None

    def cut(self, text: str, longest: int, spec: ToolSpec, arguments: Mapping[str, JsonValue]) -> str:
        """The first `longest` characters, and how to get at the others."""
        if len(text) <= longest:
            return text

        left = len(text) - longest
        if not spec.read_only:
            return f"{text[:longest]}\n[{left:,} {LEFT_OUT}"

        if self.keeps:
            self._rests[_key(spec, arguments)] = text[longest:]
            for key in list(self._rests)[:-KEPT]:
                del self._rests[key]

        return f"{text[:longest]}\n[{left:,} {GO_ON}"


def _key(spec: ToolSpec, arguments: Mapping[str, JsonValue]) -> str:
    return f"{spec.identity} {json.dumps(arguments, sort_keys=True)}"
