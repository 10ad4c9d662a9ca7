"""verl's reward for tasks of ours: the task's own verifiers, on the final answer (`custom_reward_function`)."""

import json
from typing import Any

from journeyman.verifiers.case import Case
from journeyman.verifiers.check import Check, verify_here
from journeyman.verifiers.recipe import reward


def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info: dict[str, Any]) -> float:
    """Between 0 and 1. Only what an answer alone can tell: no files, no calls."""
    del data_source, ground_truth  # the verifiers have it
    checks = [Check.model_validate(check) for check in json.loads(extra_info["verifiers"])]
    case = Case(prompt="", answer=solution_str, files=json.loads(extra_info["files"]))
    return reward(checks, [verify_here(check, case) for check in checks]).value or 0.0
