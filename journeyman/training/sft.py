"""Supervised fine-tuning on drawn tokens, by TRL's `SFTTrainer`.

Its loss is replaced: several conversations are read as one row (`shared.py`), and a token counts 1 / sqrt(targets of
its conversation), so that long plans and programs do not drown short answers.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from journeyman.training import shared
from journeyman.training.base import device
from journeyman.training.live import reports
from journeyman.training.recipe import Plan
from journeyman.training.rows import Row

SHARED = 0.3
"""Of a conversation, what it has in common with those it is read together with."""


LONG = 4096
"""Tokens read at once, from which on the layers' results are made again instead of kept: of SmolLM2-135M they are
1.2 MB a token."""


def sft_trainer(model: Any, tokens: Any, rows: Sequence[Row], plan: Plan, folder: Path, callbacks: list[Any]) -> Any:
    """A trainer of batches that share as much as they can."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    class Sft(SFTTrainer):
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            values, entropies = shared.logprobs(model, inputs["ids"], inputs["drawn"])
            weights = [len(one) ** -0.5 for one in values]
            total = sum(len(one) * weight for one, weight in zip(values, weights, strict=True))
            loss = -sum(one.sum() * weight for one, weight in zip(values, weights, strict=True)) / total
            metrics = self._metrics["train"]
            metrics["entropy"].append(sum(one.sum().item() for one in entropies) / sum(map(len, entropies)))
            return (loss, None) if return_outputs else loss

    batches = Dataset.from_list(batched(rows, plan.batch, plan.seed))
    config = SFTConfig(
        **common(plan, folder, max(shared.length(batch["ids"]) for batch in batches)),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=1,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        max_length=None,
        average_tokens_across_devices=False,
    )
    return Sft(
        model,
        config,
        train_dataset=batches,
        processing_class=tokens,
        data_collator=lambda batches: batches[0],
        callbacks=callbacks,
    )


def batched(rows: Sequence[Row], size: int, seed: int) -> list[dict[str, Any]]:
    """Batches of at most `size` conversations, as far as they can be of such that begin alike, in random order.

    A group is cut into even parts; what is left of small ones is put together, so that all batches weigh alike.
    """
    random = Random(seed)
    batches, left = [], []
    for group in _alike(rows):
        random.shuffle(group)
        parts = round(len(group) / size)
        whole = min(parts * size, len(group)) if parts else 0
        batches += [group[at:whole:parts] for at in range(parts)]
        left += group[whole:]

    batches += [left[at : at + size] for at in range(0, len(left), size)]
    random.shuffle(batches)
    return [{"ids": [row.ids for row in batch], "drawn": [row.drawn for row in batch]} for batch in batches]


def _alike(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """In groups of which each shares a good part of itself with all others."""
    group: list[Row] = []
    longest = 0
    for row in sorted(rows, key=lambda row: row.ids):
        longest = max(longest, len(row.ids))
        if group and shared.common_length([group[0].ids, row.ids]) < longest * SHARED:
            yield group
            group, longest = [], len(row.ids)

        group.append(row)

    yield group


def common(plan: Plan, folder: Path, length: int = 0) -> dict[str, Any]:
    """What every trainer of TRL's is told.

    length: tokens that are read at once, at most.
    """
    return {
        "output_dir": str(folder / "checkpoints"),
        "use_cpu": device() == "cpu",
        "bf16": device() != "cpu",
        "gradient_checkpointing": device() != "cpu" or length > LONG,
        "learning_rate": plan.rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": plan.warmup,
        "adam_beta2": 0.98,
        "max_grad_norm": plan.clip,
        "num_train_epochs": plan.epochs,
        "max_steps": plan.steps or -1,
        "logging_steps": 1,
        "save_steps": plan.save_every,
        "save_total_limit": 2,
        "seed": plan.seed,
        "report_to": reports(),
        "disable_tqdm": True,
    }
