"""One decision, taken apart: every rule that matched, where each value came from, and what would make it allowed.

What is said to help was tried: the call is decided again as if it had been done.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from pydantic import JsonValue

from journeyman.policies.compare import without
from journeyman.policies.decision import Decision
from journeyman.policies.policy import Policy
from journeyman.policies.provenance import Provenance
from journeyman.traces.events import Effect
from journeyman.traces.messages import ToolSpec, Value

SECRET_KINDS = frozenset({"secret", "link"})
MOST = 4
"""Ways that are told."""


class Matched(Value):
    rule: str
    """`tier:id`, as traces have it."""
    effect: Effect
    origin: str
    why: str = ""
    decides: bool
    """It has the strictest effect."""


class Traced(Value):
    argument: str
    value: str
    kind: str
    source: str
    """user, service, unknown or outsider."""
    call: str = ""
    field: str = ""
    enough: bool
    """It may steer this call unasked."""


class Explanation(Value):
    tool: str
    arguments: dict[str, JsonValue]
    effect: Effect
    reason: str
    label: dict[str, JsonValue]
    rules: tuple[Matched, ...]
    traced: tuple[Traced, ...]
    allowed_if: tuple[tuple[str, ...], ...] = ()
    """Each is one way: all in it must be done."""


class Setting(NamedTuple):
    """A call, and all that decides it."""

    policy: Policy
    tool: ToolSpec
    arguments: Mapping[str, JsonValue]
    heard: Callable[[Policy], Provenance]
    """What the run has been told, made anew under a policy's labels."""
    remote: bool = False
    contained: bool = False
    said: tuple[str, ...] = ()
    """What the user says besides."""

    def decide(self) -> Decision:
        told = self.heard(self.policy)
        for each in self.said:
            told.say(each)

        return self.policy.decide(self.tool, self.arguments, told, remote=self.remote, contained=self.contained)


def explain(setting: Setting) -> Explanation:
    decision = setting.decide()
    return Explanation(
        tool=setting.tool.identity,
        arguments=dict(setting.arguments),
        effect=decision.effect,
        reason=decision.reason,
        label=decision.label.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        rules=tuple(_matched(setting.policy, decision)),
        traced=tuple(
            Traced(
                argument=each.argument,
                value=each.value,
                kind=each.kind,
                source=each.source.origin,
                call=each.source.call,
                field=each.source.field,
                enough=each.enough,
            )
            for each in decision.findings
        ),
        allowed_if=() if decision.effect == "allow" else tuple(_ways(setting, decision)),
    )


def _matched(policy: Policy, decision: Decision) -> Iterator[Matched]:
    known = {f"{layer.tier}:{rule.id}": (layer, rule) for layer in policy.layers for rule in layer.rules}
    for name in decision.rules:
        if name not in known:  # a rule of the engine's own
            yield Matched(rule=name, effect=decision.effect, origin="the engine", why=decision.reason, decides=True)
            continue

        layer, rule = known[name]
        decides = rule.effect == decision.effect
        yield Matched(rule=name, effect=rule.effect, origin=layer.origin, why=rule.why, decides=decides)


Way = tuple[str, Callable[[Setting], Setting]]


def _ways(setting: Setting, decision: Decision) -> Iterator[tuple[str, ...]]:
    """The shortest lists of things to do, after any of which the call is allowed."""
    steps = list(_steps(setting, decision))
    for length in range(1, len(steps) + 1):
        found = [chosen for chosen in combinations(steps, length) if _helps(setting, chosen)]
        if found:
            yield from (tuple(words for words, _ in chosen) for chosen in found[:MOST])
            return


def _helps(setting: Setting, steps: Sequence[Way]) -> bool:
    for _, step in steps:
        setting = step(setting)

    return setting.decide().effect == "allow"


def _steps(setting: Setting, decision: Decision) -> Iterator[Way]:
    name = setting.tool.identity
    unsaid = dict.fromkeys(each.value for each in decision.untrusted if each.kind not in SECRET_KINDS)
    for value in list(unsaid)[:3]:
        yield f"the user says {value!r}", lambda at, value=value: at._replace(said=(*at.said, value, f"id {value}"))

    if setting.remote:
        yield "a model on this machine", lambda at: at._replace(remote=False)
        yield f'share = ["{name}"] in a policy file', lambda at: at._replace(policy=at.policy.share(name))

    if any(layer.scope is not None for layer in setting.policy.layers):
        wider = [layer.model_copy(update={"scope": None}) for layer in setting.policy.layers]
        yield f"scope with {name} in it", lambda at: at._replace(policy=Policy(wider, root=at.policy.root))

    yield (
        f'allow = ["{name}"] in a policy file, or --allow {name}',
        lambda at: at._replace(policy=at.policy.allow(name)),
    )
    for matched in _matched(setting.policy, decision):
        tier, _, rule = matched.rule.partition(":")
        if matched.effect != "allow" and matched.origin != "the engine":
            words = f"without the rule {rule!r} of {matched.origin}, or with an `unless` in it"
            yield words, lambda at, tier=tier, rule=rule: at._replace(policy=without(at.policy, tier, rule))
