"""ART's own loader, and its tokens: `python -m tests.traces.loaders.read_art FOLDER`."""

import json
import math
import sys
from pathlib import Path

from art.trajectories import TokenFlag, TrajectoryGroup


def tokens(history) -> dict:
    return {
        "ids": list(history.tokens),
        "mask": [int(bool(flag & TokenFlag.SAMPLED)) for flag in history.flags],
        "exact": all(flag & TokenFlag.EXACT for flag in history.flags),
        "logprobs": [0.0 if math.isnan(value) else value for value in history.logprobs],
    }


folder = Path(sys.argv[1])
found = []
for line in (folder / "art.jsonl").read_text("utf-8").splitlines():
    group = TrajectoryGroup.model_validate_json(line)
    runs = []
    for trajectory in group.trajectories:
        histories = trajectory.tokenize(multi_history=True).histories
        runs.append(
            {"metadata": trajectory.metadata, "reward": trajectory.reward, "tokens": [tokens(h) for h in histories]}
        )

    found.append({"metadata": group.metadata, "runs": runs})

(folder / "found.json").write_text(json.dumps(found))
