"""TRL's own trainers, none of which trains here: `python -m tests.traces.loaders.read_trl FOLDER`.

FOLDER has messages.jsonl, tokens.jsonl, grpo.jsonl, dpo.jsonl, kto.jsonl and prompts.jsonl. What is printed is what the
trainers would train on; `grpo` also the gradients that they would follow, as sums.
"""

import json
import sys
from importlib.resources import files
from pathlib import Path

import trl
from datasets import load_dataset

from examples.trl_replay import OffPolicy, groups_of, trainer_for
from tests.traces.loaders import tiny

folder = Path(sys.argv[1])
TEMPLATE = (files("trl") / "chat_templates" / "qwen3_training.jinja").read_text("utf-8")
MODEL = tiny.model(folder / "model", TEMPLATE)
CPU = {"output_dir": str(folder / "out"), "use_cpu": True, "bf16": False, "report_to": "none"}


def rows(name: str):
    return load_dataset("json", data_files=str(folder / f"{name}.jsonl"), cache_dir=str(folder / "cache"))["train"]


def text(ids) -> str:
    return tiny.tokenizer().decode(ids)


def messages() -> list[dict[str, str]]:
    """What is read, and what of it is trained on, as text."""
    config = trl.SFTConfig(**CPU, max_length=None, assistant_only_loss=True)
    trainer = trl.SFTTrainer(MODEL, config, train_dataset=rows("messages"), processing_class=byte_tokenizer())
    batch = trainer.data_collator([trainer.train_dataset[at] for at in range(len(trainer.train_dataset))])
    pairs = zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True)
    return [{"all": text(ids), "trained": text([i for i in labels if i != -100])} for ids, labels in pairs]


def tokens() -> dict[str, list[list[int]]]:
    config = trl.SFTConfig(**CPU, max_length=None)
    trainer = trl.SFTTrainer(MODEL, config, train_dataset=rows("tokens"), processing_class=byte_tokenizer())
    batch = trainer.data_collator([trainer.train_dataset[at] for at in range(len(trainer.train_dataset))])
    return {key: batch[key].tolist() for key in ("input_ids", "labels")}


def preferences(kind: str) -> list[dict[str, str]]:
    """The texts of a preference trainer's rows, by column."""
    trainer, config, more = {
        "dpo": (trl.DPOTrainer, trl.DPOConfig, {}),
        "kto": (trl.KTOTrainer, trl.KTOConfig, {"per_device_train_batch_size": 2}),
    }[kind]
    settings = config(**CPU, max_length=None, **more)
    made = trainer(MODEL, args=settings, train_dataset=rows(kind), processing_class=byte_tokenizer())
    found = made.train_dataset
    return [{key: text(v) if key.endswith("_ids") else v for key, v in found[at].items()} for at in range(len(found))]


def grpo(kind, scale: float = 1.0) -> dict:
    """One batch as the trainer sees it, and its gradient."""
    groups = groups_of(folder / "grpo.jsonl", 2)
    for row in (row for group in groups.values() for row in group):
        row["logprobs"] = [value and value * scale for value in row["logprobs"]]

    made = trainer_for(MODEL, byte_tokenizer(), groups, kind, **CPU, beta=0.0)
    inputs = [{"prompt": name} for name, group in groups.items() for _ in group]
    batch = made._generate_and_score_completions(inputs)  # what a step of training begins with
    made.compute_loss(made.model, batch).backward()
    names = (
        "prompt_ids",
        "completion_ids",
        "tool_mask",
        "sampling_per_token_logps",
        "old_per_token_logps",
        "advantages",
    )
    seen = {name: batch[name].nan_to_num(0).tolist() for name in names if name in batch}
    return seen | {"gradient": sum(float(p.grad.double().abs().sum()) for p in made.model.parameters())}


def trained() -> int:
    """Steps of a whole training."""
    groups = groups_of(folder / "grpo.jsonl", 2)
    made = trainer_for(MODEL, byte_tokenizer(), groups, **CPU, max_steps=1, save_strategy="no")
    made.train()
    return made.state.global_step


def prompts() -> list[dict]:
    """The columns that a reward function is given."""
    return list(rows("prompts"))


def byte_tokenizer():
    return tiny.tokenizer(TEMPLATE)


found = {
    "messages": messages(),
    "raw": list(rows("messages")),
    "tokens": tokens(),
    "dpo": preferences("dpo"),
    "kto": preferences("kto"),
    "grpo": grpo(OffPolicy),
    "grpo_other_logprobs": grpo(OffPolicy, 1.01),
    "plain": grpo(trl.GRPOTrainer),
    "plain_other_logprobs": grpo(trl.GRPOTrainer, 1.01),
    "trained": trained(),
    "prompts": prompts(),
}
(folder / "found.json").write_text(json.dumps(found))
