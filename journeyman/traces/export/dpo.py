"""Preferences: a right and a wrong next turn after the same conversation, for TRL's `DPOTrainer`.

    {"prompt": [messages], "chosen": [message], "rejected": [message], "tools": "[{...}]"}

Made of groups: runs of one batch and task with different rewards. Lost on the way: token ids, everything after the turn
in which two runs part. Not written: runs without a group or a reward, held-out tasks, runs a person had a hand in.
"""

import json
from collections.abc import Iterable, Iterator

from journeyman.traces.export.pairs import candidate, pairs

lines = candidate


def gathered(candidates: Iterable[str]) -> Iterator[str]:
    for pair in pairs(candidates):
        row = {"prompt": pair.prompt, "chosen": [pair.chosen], "rejected": [pair.rejected], "tools": pair.tools}
        yield json.dumps(row, ensure_ascii=False)
