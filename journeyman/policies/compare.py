"""Two policies, or one and itself without a rule: where they answer otherwise, each time with a call that shows it."""

from collections.abc import Sequence

from pydantic import JsonValue

from journeyman.policies.policy import STRICTNESS, Policy
from journeyman.policies.samples import Sample, universe
from journeyman.traces.events import Effect
from journeyman.traces.messages import Value


class Change(Value):
    """One change in meaning."""

    before: Effect
    after: Effect
    witness: dict[str, JsonValue]
    """A call that shows it: tool, arguments, who said them."""
    tools: tuple[str, ...]
    """Whose calls change in this way."""
    rules_before: tuple[str, ...]
    rules_after: tuple[str, ...]

    @property
    def loosens(self) -> bool:
        return STRICTNESS[self.after] < STRICTNESS[self.before]


def changes(old: Policy, new: Policy) -> tuple[Sequence[Change], tuple[str, ...]]:
    """What `new` decides otherwise, what loosens first; and tools of which not every combination was tried."""
    tried = universe(old, new)
    found: dict[tuple[object, ...], list[Sample]] = {}
    for sample in tried.samples:
        before, after = sample.decide(old), sample.decide(new)
        if before.effect != after.effect:
            key = before.effect, after.effect, before.rules, after.rules
            found.setdefault(key, []).append(sample)

    made = [_change(samples, old, new) for samples in found.values()]
    return sorted(made, key=lambda each: (not each.loosens, each.tools)), tried.cut


def _oddity(sample: Sample) -> tuple[bool, int, bool, bool]:
    """Of several witnesses the plainest is shown."""
    return "\\x00" in repr(sample.arguments), len(sample.arguments), bool(sample.world), sample.remote


def _change(samples: Sequence[Sample], old: Policy, new: Policy) -> Change:
    witness = min(samples, key=_oddity)
    before, after = witness.decide(old), witness.decide(new)
    return Change(
        before=before.effect,
        after=after.effect,
        witness=witness.told(),
        tools=tuple(dict.fromkeys(each.tool.identity for each in samples)),
        rules_before=before.rules,
        rules_after=after.rules,
    )


def without(policy: Policy, tier: str, rule_id: str) -> Policy:
    """The policy as it would be without one rule."""
    layers = [
        layer.model_copy(update={"rules": tuple(rule for rule in layer.rules if rule.id != rule_id)})
        if layer.tier == tier
        else layer
        for layer in policy.layers
    ]
    return Policy(layers, root=policy.root)
