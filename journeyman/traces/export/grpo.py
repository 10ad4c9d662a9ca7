"""Runs as tokens with log-probabilities and rewards, a row for each sequence: to replay practice in TRL's
`GRPOTrainer` (`rollout_func`), or in any trainer of that kind.

    {"prompt_ids": [...], "completion_ids": [...], "env_mask": [1, 1, 0, ...], "logprobs": [-0.1, ...],
     "reward": 1.0, "group": "BATCH/TASK", "sample": 3, "run_id": "...", "temperature": 1.0, "prompt": [messages]}

`completion_ids` begins with the first token that the model drew and holds what tools said too; `env_mask` is 1 where
the model drew. `logprobs` are those it was drawn with; `null` outside of the mask.

Not written: runs without a group, a reward or all their log-probabilities; those drawn under a grammar or at another
temperature than 1, whose probabilities are not the model's own; held-out tasks; runs that a person had a hand in.
"""

import json
from collections.abc import Iterator, Sequence

from journeyman.traces.export import Skip
from journeyman.traces.export.sequences import Tokens, demand_trainable, reward, sequences
from journeyman.traces.writer import Stored


def lines(run: Sequence[Stored]) -> Iterator[str]:
    started = demand_trainable(run)
    if started.sample is None:
        raise Skip("it is not an attempt of a group")

    value = reward(run)
    if value is None:
        raise Skip("it was not scored")

    common = {
        "reward": value,
        "group": f"{started.sample.batch}/{started.sample.task}",
        "sample": started.sample.index,
        "run_id": run[0].run_id,
        "prompt": [{"role": "user", "content": started.prompt}],
    }
    for sequence in sequences(run):
        yield json.dumps(_row(sequence) | common)


def _row(sequence: Tokens) -> dict[str, object]:
    if not sequence.exact:
        raise Skip("tokens that it drew have no log-probability")

    if sequence.temperature != 1.0:
        raise Skip(f"it was drawn at temperature {sequence.temperature:g}")

    at = sequence.prompt
    mask = sequence.mask[at:]
    logprobs = [value if drawn else None for value, drawn in zip(sequence.logprobs[at:], mask, strict=True)]
    return {
        "prompt_ids": sequence.ids[:at],
        "completion_ids": sequence.ids[at:],
        "env_mask": mask,
        "logprobs": logprobs,
        "temperature": sequence.temperature,
    }
