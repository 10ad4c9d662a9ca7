"""From the scores of several checks to one reward: gates, then a weighted mean; what was not scored is not 0."""

import hashlib
from collections.abc import Sequence

from journeyman.verifiers.check import Check
from journeyman.verifiers.score import Score


def reward(checks: Sequence[Check], scores: Sequence[Score]) -> Score:
    """One score for the run, named after what went into it.

    A gate that is less than 1 makes it 0, whatever the others say. Otherwise a check that could not judge (an error, a
    timeout) leaves the reward unknown; one that had nothing to judge (`na`) counts as 0, for there the run is at fault:
    it gave no answer. Checks of weight 0 are recorded and do not count.
    """
    name = f"reward/{recipe_id(checks)}"
    told = ", ".join(f"{check.title} {_shown(score)}" for check, score in zip(checks, scores, strict=True))
    counted = [(check, score) for check, score in zip(checks, scores, strict=True) if check.weight or check.gate]
    gates = [score.value for check, score in counted if check.gate]
    if any(value is not None and value < 1 for value in gates):
        return Score(value=0.0, verifier=name, evidence=told)

    unknown = next((score for _, score in counted if score.value is None and score.status != "na"), None)
    if unknown is not None or not counted:
        return Score(status=unknown.status if unknown else "na", verifier=name, evidence=told)

    weights = sum(check.weight for check, _ in counted)
    total = sum(check.weight * (score.value or 0.0) for check, score in counted)
    passed = all(score.value == 1 for check, score in counted if check.gate)
    value = (total / weights if weights else 1.0) if passed else 0.0
    return Score(value=value, verifier=name, evidence=told)


def recipe_id(checks: Sequence[Check]) -> str:
    """Hash of which checks count how much; scores of the same recipe can be compared."""
    weights = sorted((check.title, check.verifier, check.weight, check.gate) for check in checks)
    return hashlib.sha256(repr(weights).encode()).hexdigest()[:8]


def _shown(score: Score) -> str:
    return score.status if score.value is None else f"{score.value:g}"
