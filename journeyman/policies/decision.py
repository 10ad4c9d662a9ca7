"""The answer of a policy to one call."""

from dataclasses import dataclass, field
from typing import Any, Self, cast

from pydantic import JsonValue

from journeyman.policies.finding import Finding
from journeyman.policies.labels import STRANGE, Label
from journeyman.traces.events import CallDecided, Effect


@dataclass(frozen=True, slots=True)
class Decision:
    effect: Effect
    rules: tuple[str, ...] = ()
    """Ids of every rule that matched, strictest first."""
    reason: str = ""
    """Why, in a sentence a person reads; for a denial the model reads it too."""
    label: Label = field(default=STRANGE, compare=False)
    findings: tuple[Finding, ...] = field(default=(), compare=False)
    """Where each value came from that steers the call."""
    private: bool = False
    """It is asked because a remote model would read what it returns."""

    @classmethod
    def recorded(cls, event: CallDecided) -> Self:
        """As it was decided once."""
        found = cast("dict[str, list[dict[str, Any]]]", event.provenance)
        findings = tuple(Finding.of(name, each) for name, told in found.items() for each in told)
        return cls(event.effect, event.rules, event.reason, Label.of(event.labels), findings)

    @property
    def untrusted(self) -> tuple[Finding, ...]:
        """What should not steer the call without a person's word."""
        return tuple(finding for finding in self.findings if not finding.enough)

    @property
    def provenance(self) -> dict[str, JsonValue]:
        """The findings as a trace keeps them, by argument."""
        told: dict[str, JsonValue] = {}
        for finding in self.findings:
            entries = cast("list[JsonValue]", told.setdefault(finding.argument, []))
            entries.append(finding.told())

        return told
