"""Where a value came from, with the witness."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import JsonValue

from journeyman.policies.labels import Origin
from journeyman.safe import safe

SHOWN = 200
"""Characters of a value that a trace keeps with where it came from."""


class Source(NamedTuple):
    """A witness: the call whose result has the value, and the field it stands in."""

    origin: Origin
    call: str = ""
    field: str = ""


class Finding(NamedTuple):
    """Where one value of a call came from."""

    argument: str
    value: str
    kind: str
    """Of its control, or `link` and `secret` for what a text carries."""
    source: Source
    enough: bool
    """It may steer the call unasked."""

    def told(self) -> dict[str, JsonValue]:
        """As a trace keeps it."""
        plain = {"value": self.value[:SHOWN], "kind": self.kind, "from": self.source.origin}
        witness = {"call": self.source.call, "field": self.source.field, "enough": self.enough}
        return {**plain, **{name: value for name, value in witness.items() if value not in {"", True}}}

    @classmethod
    def of(cls, argument: str, told: Mapping[str, Any]) -> "Finding":
        source = Source(told["from"], told.get("call", ""), told.get("field", ""))
        return cls(argument, told["value"], told["kind"], source, told.get("enough", True))

    def __str__(self) -> str:
        told = {
            "user": "is what the user said",
            "service": "is known to a service you configured",
            "unknown": "comes from nobody knows where",
            "outsider": "stands in a text that others write",
        }[self.source.origin]
        if self.kind == "secret":
            told = "looks like a secret of yours"

        place = (
            f" ({self.source.call}{f', {self.source.field}' if self.source.field else ''})" if self.source.call else ""
        )
        return f"{self.argument} {self.value[:SHOWN]!r} {told}{place}"


def sources(provenance: Mapping[str, JsonValue]) -> Iterator[str]:
    """What a trace keeps of where each value of a call came from, in words for a person."""
    for name, found in provenance.items():
        for told in found if isinstance(found, list) else ():
            if isinstance(told, dict):
                yield safe(str(Finding.of(name, told)), None)
