"""Preference optimisation (DPO, arXiv 2305.18290) on turns of recorded attempts, by TRL's `DPOTrainer`.

Two attempts of a group that are worth different are compared in the one turn where they first part: the tokens of that
turn, as they were drawn, after the same tokens. What tools said is before it and never a target.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from journeyman.training.recipe import Plan
from journeyman.training.rows import Row
from journeyman.training.sft import common


def dpo_trainer(
    model: Any, tokens: Any, pairs: Sequence[dict[str, Any]], plan: Plan, folder: Path, callbacks: list[Any]
) -> Any:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    class Dpo(DPOTrainer):
        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset  # it is tokens already

    config = DPOConfig(
        **common(plan, folder),
        beta=plan.beta,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=min(plan.batch, len(pairs)),
        max_length=None,
    )
    found = Dataset.from_list(list(pairs))
    return Dpo(model, args=config, train_dataset=found, processing_class=tokens, callbacks=callbacks)


def token_pairs(groups: Mapping[str, Sequence[Row]]) -> list[dict[str, Any]]:
    """Each worse attempt against the best one that goes with it furthest; the same pair once."""
    found: dict[tuple[tuple[int, ...], ...], dict[str, Any]] = {}
    for rows in groups.values():
        best = max(row.reward or 0.0 for row in rows)
        right = [row for row in rows if row.reward == best]
        for wrong in (row for row in rows if (row.reward or 0.0) < best):
            parted = [pair for one, other in product(right, [wrong]) if (pair := _parted(one, other))]
            if parted:
                pair = max(parted, key=lambda each: len(each["prompt_ids"]))
                found[tuple(map(tuple, pair.values()))] = pair

    return list(found.values())


def _parted(right: Row, wrong: Row) -> dict[str, Any] | None:
    """None where it is not the model that parts them: a tool said something else, or one simply goes on."""
    at = next((n for n, (one, other) in enumerate(zip(right.ids, wrong.ids, strict=False)) if one != other), None)
    if at is None or not (right.drawn[at] and wrong.drawn[at]):
        return None

    begin = at
    while right.drawn[begin - 1]:
        begin -= 1

    return {"prompt_ids": right.ids[:begin], "chosen_ids": _turn(right, begin), "rejected_ids": _turn(wrong, begin)}


def _turn(row: Row, begin: int) -> list[int]:
    end = next((n for n in range(begin, len(row.drawn)) if not row.drawn[n]), len(row.drawn))
    return row.ids[begin:end]
