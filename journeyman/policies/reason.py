"""Why a call is decided as it is, in a sentence."""

from collections.abc import Sequence

from journeyman.policies.load import Layer
from journeyman.policies.rule import Call, Rule
from journeyman.traces.events import Effect

Hit = tuple[Layer, Rule]
VERBS: dict[Effect, str] = {"allow": "allows", "ask": "asks about", "deny": "denies"}
PRIVATE = 'what {0} returns is private and the model is not on this machine; to let it read that: share = ["{0}"]'


def reason_of(effect: Effect, deciding: Sequence[Hit], call: Call) -> str:
    """In the words of a rule only where the user trusts who wrote them; with the witness where it is about one."""
    if not deciding:
        return f"no rule {'stops' if effect == 'allow' else 'allows'} {call.tool.identity}"

    rule = next((rule for layer, rule in deciding if layer.trusted), None)
    if rule is None:
        return f"the project's untrusted policy file {VERBS[effect]} {call.tool.identity}"

    if rule.untrusted:
        return "; ".join(str(finding) for finding in call.findings if not finding.enough)

    return rule.why or f"the rule {rule.id!r} {VERBS[effect]} {call.tool.identity}"
