"""Practice as OpenEnv's `TrainingTrace` (version 1), a run a line: each model call with what it read and wrote.

    {"schema_version": 1, "turns": [{"node_id": "RUN/1", "prompt_token_ids": [...], "completion_token_ids": [...],
     "per_token_logps": [...], "loss_mask": [0, 0, 1, ...], "metadata": {"reward": 1.0, "group": "BATCH/TASK", ...}}]}

`loss_mask` covers prompt and completion; forced tokens are in the completion, masked and with log-probability 0.

Lost on the way: text, decisions, times. The format has no place for a reward (there it is the environment's word, not
the model's), so that it is in each turn's `metadata`. What is not written is what `grpo` does not write.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from journeyman.traces.export.practice import Practice, practice
from journeyman.traces.export.sequences import Tokens, Turn
from journeyman.traces.writer import Stored


def lines(run: Sequence[Stored]) -> Iterator[str]:
    attempt = practice(run)
    found = enumerate(attempt.sequences)
    turns = [_turn(attempt, number, sequence, turn) for number, sequence in found for turn in sequence.turns]
    yield json.dumps({"schema_version": 1, "turns": turns})


def _turn(attempt: Practice, number: int, sequence: Tokens, turn: Turn) -> dict[str, Any]:
    about = {"step": turn.step, "sequence": number, "reward": attempt.reward}
    return {
        "node_id": f"{attempt.run_id}/{turn.step}",
        "prompt_token_ids": sequence.ids[: turn.at],
        "completion_token_ids": sequence.ids[turn.at : turn.end],
        "per_token_logps": [
            min(value or 0.0, 0.0) for value in sequence.drawn(turn.at, turn.end)
        ],  # float32 may round up
        "loss_mask": [0] * turn.at + sequence.mask[turn.at : turn.end],
        "metadata": about | attempt.about,
    }
