import json

import pytest

from examples.verl_reward import compute_score
from journeyman.training.generate import generate
from journeyman.training.prompts import _verl


@pytest.mark.parametrize("kind", ["arithmetic", "word_problem", "file_lookup"])
def test_the_reward_for_verl_is_the_tasks_own(kind):
    [task] = generate(kind, 1, seed=1, split="train")
    row = _verl(task, 0)
    given = {"data_source": row["data_source"], "ground_truth": task.answer, "extra_info": row["extra_info"]}
    assert compute_score(solution_str=task.answer, **given) == 1.0
    assert compute_score(solution_str="-0.123", **given) == 0.0
    assert json.loads(row["extra_info"]["verifiers"])
