"""Runs as tokens, a row for each sequence: what TRL's `SFTTrainer` takes as it is (`input_ids`, `labels`).

    {"input_ids": [1, 9690, ...], "labels": [-100, -100, ..., 28], "run_id": "...", "reward": 1.0}

`labels` is -100 wherever the model did not draw the token itself. Exact: nothing is tokenised again.

Lost on the way: text, decisions, which tokens were forced rather than read, log-probabilities (`grpo` has them). Not
written: runs whose tokens were not recorded, held-out tasks, and runs in which a person changed a call.
"""

import json
from collections.abc import Iterator, Sequence

from journeyman.traces.export.sequences import demand_trainable, reward, sequences
from journeyman.traces.writer import Stored

IGNORED = -100


def lines(run: Sequence[Stored]) -> Iterator[str]:
    demand_trainable(run)
    for sequence in sequences(run):
        labels = [id_ if drawn else IGNORED for id_, drawn in zip(sequence.ids, sequence.mask, strict=True)]
        row = {"input_ids": sequence.ids, "labels": labels, "run_id": run[-1].run_id, "reward": reward(run)}
        yield json.dumps(row)
