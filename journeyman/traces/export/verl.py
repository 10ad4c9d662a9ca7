"""Practice as verl takes what an agent loop returned (`AgentLoopOutput`), a row for each sequence.

    {"prompt_ids": [...], "response_ids": [...], "response_mask": [1, 1, 0, ...], "response_logprobs": [-0.1, 0.0, ...],
     "reward_score": 1.0, "num_turns": 4, "metrics": {}, "extra_fields": {"group": "BATCH/TASK", "run_id": "...", ...}}

`AgentLoopOutput.model_validate(row).as_dict()` makes the tensors. Log-probabilities outside of the mask are 0, as verl
writes them itself. The prompts to practise on are another file: `journeyman tasks export TASKS OUT --format verl`.

Lost on the way: text, decisions, times. What is not written is what `grpo` does not write.
"""

import json
from collections.abc import Iterator, Sequence

from journeyman.traces.events import CallFinished
from journeyman.traces.export.practice import practice
from journeyman.traces.writer import Stored


def lines(run: Sequence[Stored]) -> Iterator[str]:
    attempt = practice(run)
    results = sum(isinstance(each.event, CallFinished) for each in run)
    for sequence in attempt.sequences:
        at = sequence.prompt
        row = {
            "prompt_ids": sequence.ids[:at],
            "response_ids": sequence.ids[at:],
            "response_mask": sequence.mask[at:],
            "response_logprobs": sequence.drawn(at),
            "reward_score": attempt.reward,
            "num_turns": 1 + len(sequence.turns) + results,
            "metrics": {},
            "extra_fields": attempt.about,
        }
        yield json.dumps(row)
