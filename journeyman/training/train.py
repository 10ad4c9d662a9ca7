"""One training: rows in, an adapter out, with what it was made from beside it.

    done = train(job, rows)      # job.folder/adapter.gguf, adapter_model.safetensors, card.json, metrics.jsonl

A training that was interrupted goes on from its last checkpoint when it is asked for again in the same folder; one that
is done is not done again.
"""

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import anyio

from journeyman.agent.models.files import ModelFiles, fingerprint, thinks
from journeyman.errors import ConfigError, Interrupted, UsageError
from journeyman.home import replace_text
from journeyman.traces.messages import Value
from journeyman.training.adapter import read_adapter, shape_of, write_adapter
from journeyman.training.agree import Agreement, agreement
from journeyman.training.base import attach, demand_trainer, load_base, tokenizer
from journeyman.training.dpo import dpo_trainer, token_pairs
from journeyman.training.grpo import grpo_trainer
from journeyman.training.live import boards, live
from journeyman.training.recipe import Plan
from journeyman.training.rows import Row, groups_of
from journeyman.training.sft import sft_trainer

ADAPTER = "adapter.gguf"
PRACTISE = "Practise tasks it sometimes gets right: journeyman rollout TASKS -n 8"
COMPARED = 4
"""Rows on which engine and trainer are compared."""


@dataclass(frozen=True, slots=True)
class Job:
    base: Path
    """GGUF of the model."""
    folder: Path
    """Where everything goes."""
    plan: Plan
    start: Path | None = None
    """The adapter to go on from; its shape counts."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """For the card: where the rows are from."""


class Trained(Value):
    adapter: Path
    steps: int
    seconds: float
    tokens: int
    """Targets, of one epoch."""
    loss: float | None
    """Of the last step."""
    agreement: Agreement


def train(job: Job, rows: Sequence[Row]) -> Trained:
    """Train on rows.

    Raises:
        UsageError: there is nothing to learn from, or the folder has another training.
        ConfigError: what trains is not installed, or nothing can be written.
        BadModelFile: the base or the adapter to start from does not fit.
        Interrupted: Ctrl-C; the same call goes on.
    """
    demand_trainer()
    short = [row for row in rows if len(row.ids) <= job.plan.longest]
    data = _data(job.plan, short)
    if done := _prepare(job, short):
        return done

    began = time.monotonic()
    model, tokens = _model(job), tokenizer(job.base)
    callback = live(job.folder)
    make = {"sft": sft_trainer, "grpo": grpo_trainer, "dpo": dpo_trainer}[job.plan.method]
    trainer = make(model, tokens, data, job.plan, job.folder, [callback, *boards(job.folder)])
    _run(trainer, callback, job)
    adapter = job.folder / ADAPTER
    write_adapter(trainer.model, job.base, adapter, thinks=_thinks(job, short, tokens))
    trainer.model.save_pretrained(job.folder, save_embedding_layers=False)
    agreed = anyio.run(agreement, ModelFiles(model=job.base, adapters=(adapter,)), trainer.model, short[:COMPARED])
    done = Trained(
        adapter=adapter,
        steps=trainer.state.global_step,
        seconds=round(time.monotonic() - began, 1),
        tokens=sum(sum(row.drawn) for row in short),
        loss=next((each["loss"] for each in reversed(trainer.state.log_history) if "loss" in each), None),
        agreement=agreed,
    )
    _card(job, short, done, left_out=len(rows) - len(short))
    shutil.rmtree(job.folder / "checkpoints", ignore_errors=True)
    return done


def identity(base: Path, plan: Plan, rows: Sequence[Row], start: Path | None = None) -> dict[str, Any]:
    """What makes a training the same as another."""
    data = hashlib.sha256(json.dumps([[row.ids, row.drawn, row.reward] for row in rows]).encode()).hexdigest()[:16]
    begun = fingerprint(start) if start else None
    return {"plan": plan.model_dump(mode="json"), "base": fingerprint(base), "start": begun, "rows": data}


def _data(plan: Plan, rows: Sequence[Row]) -> Any:
    """What the method's trainer takes.

    Raises:
        UsageError: there is none of it.
    """
    if plan.method == "sft":
        if not rows:
            fix = f"{PRACTISE}. Why runs were left out: journeyman train sft --dry-run"
            raise UsageError("There is nothing to learn from: no run fits that came out right.", fix=fix)

        return rows

    groups = groups_of(rows, even=plan.method == "grpo" and plan.grpo.keep_even)
    data = groups if plan.method == "grpo" else token_pairs(groups)
    if not data:
        count = len({row.group for row in rows})
        message = f"None of {count} groups has attempts of different worth." if count else "There are no groups."
        raise UsageError(message, fix=f"{PRACTISE} --mixed 8. Why runs were left out: add --dry-run")

    return data


def _prepare(job: Job, rows: Sequence[Row]) -> Trained | None:
    """The folder, which belongs to this one training; what came of it, if it is done.

    Raises:
        UsageError: it has another.
        ConfigError: it cannot be made.
    """
    wanted = identity(job.base, job.plan, rows, job.start)
    card = job.folder / "card.json"
    path = job.folder / "plan.json"
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            replace_text(path, json.dumps(wanted, indent=2) + "\n")

        there = json.loads(path.read_text("utf-8"))
        done = json.loads(card.read_text("utf-8"))["done"] if card.exists() else None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{job.folder} cannot be used: {error}.", fix="Name another folder: --out FOLDER") from error

    if there != wanted:
        raise UsageError(f"{job.folder} has another training.", fix="Name another folder: --out FOLDER")

    return Trained(adapter=job.folder / ADAPTER, **done) if done else None


def _model(job: Job) -> Any:
    shape = shape_of(job.start) if job.start else job.plan.shape
    model = attach(load_base(job.base), shape, job.plan.seed)
    if job.start:
        read_adapter(model, job.base, job.start)

    return model


def _thinks(job: Job, rows: Sequence[Row], tokens: Any) -> bool:
    """Does a row begin with a thought, or did those that taught the adapter gone on from."""
    mark = tokens("<think", add_special_tokens=False).input_ids
    taught = any(row.ids[row.begin :][: len(mark)] == mark for row in rows)
    return taught or (job.start is not None and thinks(job.start))


def _run(trainer: Any, callback: Any, job: Job) -> None:
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)  # it writes to stdout
    checkpoints = job.folder / "checkpoints"
    try:
        trainer.train(resume_from_checkpoint=any(checkpoints.glob("checkpoint-*")))
    except OSError as error:
        raise ConfigError(
            f"Training stopped: {error}.", fix=f"Make room in {job.folder}, and go on with it."
        ) from error

    if callback.interrupted:
        step = trainer.state.global_step
        raise Interrupted(f"Interrupted after step {step}, which is kept.", fix="Go on with the same command.")


def _card(job: Job, rows: Sequence[Row], done: Trained, left_out: int) -> None:
    """What the adapter is and what it was made from."""
    card = {
        "date": datetime.now(UTC).date().isoformat(),
        "base": {"file": job.base.name, "fingerprint": fingerprint(job.base)},
        "started_from": fingerprint(job.start) if job.start else None,
        "plan": job.plan.model_dump(mode="json"),
        "rows": len(rows),
        "too_long": left_out,
        "by_kind": dict(sorted(Counter(row.kind or "other" for row in rows).items())),
        "runs": sorted({row.run_id for row in rows}),
        **job.notes,
        "done": done.model_dump(mode="json", exclude={"adapter"}),
        "versions": {name: metadata.version(name) for name in ("torch", "transformers", "peft", "trl")},
        "adapter_sha256": hashlib.sha256(done.adapter.read_bytes()).hexdigest(),
    }
    try:
        replace_text(job.folder / "card.json", json.dumps(card, indent=2) + "\n")
    except OSError as error:
        fix = f"Make room in {job.folder}, and go on with it."
        raise ConfigError(f"The card of the adapter cannot be written: {error}.", fix=fix) from error
