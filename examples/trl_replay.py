"""Train on recorded practice in TRL's GRPOTrainer: `python trl_replay.py practice.jsonl MODEL OUT`.

    journeyman rollout tasks.toml -n 8
    journeyman traces export practice.jsonl --format grpo

Nothing is drawn again: `rollout_func` hands TRL the tokens as they were, with their mask and their rewards. MODEL is
the one that drew them, in Hugging Face's format. Needs `pip install trl peft`.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

try:
    import torch
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer
except ImportError as missing:
    sys.exit(f"{missing}: this trains with TRL; pip install trl peft")


class OffPolicy(GRPOTrainer):
    """Another program drew the tokens. Without vLLM, TRL leaves their log-probabilities out of the ratio: it would
    take them as drawn by the weights that are being trained, and correct for nothing.
    """

    def _generate_and_score_completions(self, inputs):
        out = super()._generate_and_score_completions(inputs)
        out["old_per_token_logps"] = torch.nan_to_num(out["sampling_per_token_logps"])  # none outside of the mask
        return out


def groups_of(path, size):
    """By name, the groups of so many attempts that teach something; attempts of several rows are left out."""
    attempts = defaultdict(lambda: defaultdict(list))
    for line in Path(path).read_text("utf-8").splitlines():
        row = json.loads(line)
        attempts[row["group"]][row["sample"]].append(row)

    whole = {name: [rows[0] for rows in of.values() if len(rows) == 1][:size] for name, of in attempts.items()}
    return {
        name: rows for name, rows in whole.items() if len(rows) == size and len({row["reward"] for row in rows}) > 1
    }


def replay(groups):
    """A `rollout_func`: each name of a group comes as often as the group has attempts."""

    def rollout(names, trainer):
        given = defaultdict(int)
        rows = []
        for name in names:
            rows.append(groups[name][given[name] % len(groups[name])])
            given[name] += 1

        keys = ("prompt_ids", "completion_ids", "env_mask", "logprobs", "reward")
        return {key: [row[key] for row in rows] for key in keys}

    return rollout


def recorded(completions, reward, **_):
    """The verifiers have spoken already."""
    return reward


def trainer_for(model, tokenizer, groups, kind=OffPolicy, **settings):
    """A trainer of the groups, which have one size."""
    size = len(next(iter(groups.values())))
    config = GRPOConfig(num_generations=size, per_device_train_batch_size=size, **settings)
    return kind(
        model=model,
        processing_class=tokenizer,
        args=config,
        reward_funcs=recorded,
        rollout_func=replay(groups),
        train_dataset=Dataset.from_list([{"prompt": name} for name in groups]),
    )


if __name__ == "__main__":
    from transformers import AutoTokenizer

    if len(sys.argv) != 4:  # noqa: PLR2004 - itself and three words
        sys.exit(__doc__)

    path, model, out = sys.argv[1:]
    groups = groups_of(path, 8)
    if not groups:
        sys.exit(f"{path} has no group of 8 attempts with different rewards: journeyman rollout TASKS -n 8 makes them")

    trainer = trainer_for(model, AutoTokenizer.from_pretrained(model), groups, output_dir=out, report_to="none")
    trainer.train()
    trainer.save_model(out)
