"""The answer of a policy to one call."""

from dataclasses import dataclass, field

from journeyman.policies.labels import STRANGE, Label
from journeyman.policies.provenance import Finding
from journeyman.traces.events import Effect


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

    @property
    def untrusted(self) -> tuple[Finding, ...]:
        """What should not steer the call without a person's word."""
        return tuple(finding for finding in self.findings if not finding.enough)
