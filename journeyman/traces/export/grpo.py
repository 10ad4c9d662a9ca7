"""Runs as tokens with log-probabilities and rewards, a row for each sequence: to replay practice in TRL's
`GRPOTrainer` (`rollout_func`), or in any trainer of that kind.

    {"prompt_ids": [...], "completion_ids": [...], "env_mask": [1, 1, 0, ...], "logprobs": [-0.1, ...],
     "reward": 1.0, "group": "BATCH/TASK", "sample": 3, "run_id": "...", "temperature": 1.0, "prompt": [messages]}

`completion_ids` begins with the first token that the model drew and holds what tools said too; `env_mask` is 1 where
the model drew. `logprobs` are those it was drawn with; `null` outside of the mask.

TRL's trap: without vLLM its `GRPOTrainer` reads these `logprobs` and does not use them, as if the model being trained
had drawn the tokens. `examples/trl_replay.py` has the subclass of five lines that puts them where the ratio is made.

Lost on the way: text beyond the prompt, decisions. A run whose conversation was begun anew (compaction) is several rows
of one `run_id`. Not written: runs without a group, a reward or all their log-probabilities; those drawn under a grammar
or at another temperature or top_p than 1, whose probabilities are not the model's own; those that something else than
the model ended; forks; held-out tasks; runs that a person had a hand in or a text of others steered.
"""

import json
from collections.abc import Iterator, Sequence

from journeyman.traces.export.practice import practice
from journeyman.traces.writer import Stored


def lines(run: Sequence[Stored]) -> Iterator[str]:
    attempt = practice(run)
    common = {
        "temperature": 1.0,
        "reward": attempt.reward,
        **attempt.about,
        "prompt": [{"role": "user", "content": attempt.started.prompt}],
    }
    for sequence in attempt.sequences:
        at = sequence.prompt
        row = {
            "prompt_ids": sequence.ids[:at],
            "completion_ids": sequence.ids[at:],
            "env_mask": sequence.mask[at:],
            "logprobs": sequence.drawn(at, other=None),
        }
        yield json.dumps(row | common)
