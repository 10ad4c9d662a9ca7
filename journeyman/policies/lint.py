"""What is wrong with a policy though every line of it can be read: rules that never match or change nothing, and calls
that it lets through which no policy for every day should.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from pydantic import JsonValue

from journeyman.policies.approvals import GRAVE
from journeyman.policies.compare import without
from journeyman.policies.decision import Decision
from journeyman.policies.load import Layer
from journeyman.policies.policy import Policy
from journeyman.policies.rule import Rule
from journeyman.policies.samples import Sample, universe
from journeyman.traces.messages import Value

Kind = Literal["dead", "shadowed", "untrusted", "invariant", "untried"]


class Flaw(Value):
    kind: Kind
    rule: str = ""
    """`tier:id`, where it is about one."""
    origin: str = ""
    message: str
    witness: dict[str, JsonValue] | None = None
    """A call that shows it."""

    @property
    def grave(self) -> bool:
        """It should be mended; the others are worth a look."""
        return self.kind in {"dead", "invariant"}


class Invariant(NamedTuple):
    message: str
    applies: Callable[[Sample, Decision], bool]
    """To a call that is allowed."""


INVARIANTS = (
    Invariant(
        "a text of others chooses the target of a call that sends, pays or destroys, and it runs unasked",
        lambda sample, decided: (
            sample.world == "outsider"
            and any(not each.enough for each in decided.findings)
            and not decided.label.shapes
            and not (GRAVE | {"external", "fetch"}).isdisjoint(decided.label.does)
        ),
    ),
    Invariant(
        "a text of others chooses the target of a tool that nobody has labelled, and it runs unasked",
        lambda sample, decided: (
            sample.world == "outsider" and decided.label.shapes and any(not each.enough for each in decided.findings)
        ),
    ),
    Invariant(
        "a model that is not on this machine reads what a tool that nobody has labelled returns",
        lambda sample, decided: sample.remote and decided.label.shapes and decided.label.private,
    ),
    Invariant(
        "what decides what journeyman and git may do here is changed unasked",
        lambda sample, _: (
            sample.tool.identity in {"files.write", "files.edit"}
            and str(sample.arguments.get("path", "")).startswith((".git/", "journeyman.toml/", ".mcp.json/"))
        ),
    ),
)


def lint(policy: Policy) -> Sequence[Flaw]:
    """Flaws of the policy; those of a preset count only where the policy breaks an invariant."""
    tried = universe(policy)
    decided = [(sample, sample.decide(policy)) for sample in tried.samples]
    flaws = [*_broken(decided)]
    for layer in policy.layers:
        if layer.tier not in {"builtin", "preset"}:
            flaws += [flaw for rule in layer.rules for flaw in _flaws(policy, layer, rule, decided)]

    told = "it has too many combinations of conditions: not all of them were tried"
    flaws += [Flaw(kind="untried", message=f"{tool}: {told}") for tool in tried.cut]
    return sorted(flaws, key=lambda each: not each.grave)


def _broken(decided: Sequence[tuple[Sample, Decision]]) -> Iterator[Flaw]:
    for message, applies in INVARIANTS:
        found = [each for each in decided if each[1].effect == "allow" and applies(*each)]
        if found:
            sample, decision = min(found, key=lambda each: len(each[0].arguments))
            tools = len({each.tool.identity for each, _ in found})
            more = f" ({tools} tools)" if tools > 1 else ""
            rule = next(iter(decision.rules), "")
            yield Flaw(kind="invariant", rule=rule, message=f"{message}{more}", witness=sample.told())


def _flaws(policy: Policy, layer: Layer, rule: Rule, decided: Sequence[tuple[Sample, Decision]]) -> Iterator[Flaw]:
    name = f"{layer.tier}:{rule.id}"
    if not layer.trusted and rule.effect == "allow":
        told = "the file is not trusted, so this rule counts for nothing; journeyman config trust"
        yield Flaw(kind="untrusted", rule=name, origin=layer.origin, message=told)
        return

    matched = [(sample, decision) for sample, decision in decided if name in decision.rules]
    if not matched and not any(rule.matches(each.call) for each in rule.match):
        told = "no call can match it: its conditions contradict each other or its exceptions take all"
        yield Flaw(kind="dead", rule=name, origin=layer.origin, message=told)
        return

    less = without(policy, layer.tier, rule.id)
    if all(sample.decide(less).effect == decision.effect for sample, decision in matched):
        yield Flaw(kind="shadowed", rule=name, origin=layer.origin, message=_over(rule, name, matched))


def _over(rule: Rule, name: str, matched: Sequence[tuple[Sample, Decision]]) -> str:
    others = dict.fromkeys(other for _, decision in matched for other in decision.rules if other != name)
    why = f"what it matches is decided alike by {', '.join(others)}" if others else f"the default is {rule.effect} too"
    return f"it changes no decision: {why}"
