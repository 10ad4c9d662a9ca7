"""`journeyman train`: train a local model on recorded runs."""

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journeyman.cli.output import json_option, print_json
from journeyman.errors import UsageError

if TYPE_CHECKING:
    from journeyman.training.recipe import Plan
    from journeyman.training.rows import Row
    from journeyman.training.train import Job, Trained

HELP = """Train a local model on recorded runs; the result is an adapter.

\b
  sft    imitate runs that came out right
  grpo   reinforce: groups of attempts with different rewards
  dpo    prefer the better of two turns where attempts at a task part

\b
Examples:
  journeyman rollout tasks.toml -n 8
  journeyman train sft
  journeyman train grpo --where batch:261122-091500-k3f9qd --preset dr_grpo
  journeyman train sft --where "model:anthropic* reward=1"      distillation
  journeyman train sft --dry-run

The model is a GGUF, trained as it is on this CPU or GPU. Only tokens that the
model drew are targets, exactly as they were recorded; runs of other models
are rendered as this one would have written them. Held-out tasks are never
trained on. FOLDER gets adapter.gguf, adapter_model.safetensors, card.json and
metrics.jsonl; the same command goes on with what was interrupted.
"""


@click.command(help=HELP)
@click.argument("method", type=click.Choice(["sft", "grpo", "dpo"]))
@click.option("--where", help='Which runs.  [default: "reward=1" for sft, all that were scored]')
@click.option("-m", "--model", default="local:starter", show_default=True, help="A local model; with its adapter.")
@click.option("--fresh", is_flag=True, help="Begin a new adapter where the model has one.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder.  [default: one of its own]")
@click.option("--epochs", type=click.FloatRange(0, min_open=True), help="[default: 2; 1 for grpo and dpo]")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="[default: 1e-3; 1.5e-4 for grpo, 5e-5 for dpo]")
@click.option("--batch", type=click.IntRange(1), help="Conversations, groups or pairs a step.  [default: 4; 8]")
@click.option("--steps", type=click.IntRange(0), default=0, help="Stop after so many.")
@click.option("--rank", type=click.IntRange(1), default=16, show_default=True, help="Of a new adapter.")
@click.option("--first", type=click.IntRange(0), default=0, help="Lowest layer that a new adapter has.")
@click.option(
    "--preset", default="dapo", show_default=True, help="Of grpo: dapo, grpo, dr_grpo, cispo, gspo, deepseek-v3.2."
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="One option of the preset, as kl=0.01.")
@click.option("--each", type=click.IntRange(1), default=4, show_default=True, help="Right runs a task, at most.")
@click.option(
    "--replay", type=click.Path(path_type=Path, dir_okay=False), help="Samples not to forget: JSON lines of messages."
)
@click.option(
    "--share", type=click.FloatRange(0), default=0.25, show_default=True, help="How many of them, to one of the others."
)
@click.option("--seed", default=1, show_default=True)
@click.option("--dry-run", is_flag=True, help="Say what would be trained on, and why other runs would not.")
@json_option()
def train(**options: Any) -> None:
    from journeyman.agent.models.spec import local_files
    from journeyman.config import load_settings
    from journeyman.home import data_dir
    from journeyman.traces.store import Store
    from journeyman.training.base import demand_trainer, missing_parts
    from journeyman.training.train import Job, identity, train

    counted = options["dry_run"] and bool(missing_parts())
    if not counted:
        demand_trainer()

    plan = _plan(options)
    files = local_files(options["model"])
    with Store.open(load_settings().store) as store:
        rows, skipped, counts = _rows(store, files.model, plan, options, counted=counted)

    if options["dry_run"]:
        _dry(rows, skipped, counts, as_json=options["json"])
        if counted and counts.get("of another model"):
            click.echo("Targets of other models' runs are counted in bytes: what trains is not installed.", err=True)

        return

    start = None if options["fresh"] else files.adapter
    same = hashlib.sha256(json.dumps(identity(files.model, plan, rows, start)).encode()).hexdigest()[:8]
    folder = options["out"] or data_dir() / "training" / f"{options['method']}-{same}"
    job = Job(files.model, folder, plan, start, {"taken": counts})
    _tell(job, train(job, rows), as_json=options["json"])


DEFAULTS = {"sft": (2.0, 1e-3, 4), "grpo": (1.0, 1.5e-4, 8), "dpo": (1.0, 5e-5, 8)}
"""Epochs, rate, batch."""


def _plan(options: dict[str, Any]) -> "Plan":
    from journeyman.training.recipe import Plan, Shape

    epochs, rate, batch = DEFAULTS[options["method"]]
    return Plan(
        method=options["method"],
        shape=Shape(rank=options["rank"], alpha=2.0 * options["rank"], first=options["first"]),
        rate=options["rate"] or rate,
        epochs=options["epochs"] or epochs,
        batch=options["batch"] or batch,
        steps=options["steps"],
        seed=options["seed"],
        grpo=grpo_options(options["preset"], options["settings"]),
    )


def grpo_options(preset: str, settings: tuple[str, ...]) -> Any:
    """A preset with some of its options changed.

    Raises:
        UsageError: there is no such preset, option or value.
    """
    from pydantic import ValidationError

    from journeyman.training.recipe import PRESETS, Grpo

    if preset not in PRESETS:
        raise UsageError(f"There is no preset {preset!r}.", fix=f"There are {', '.join(PRESETS)}.")

    given: dict[str, Any] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        try:
            given[name] = json.loads(value)
        except ValueError:
            given[name] = value

    try:
        return Grpo.model_validate(PRESETS[preset].model_dump() | given)
    except ValidationError as error:
        wrong = error.errors()[0]
        name = ".".join(map(str, wrong["loc"]))
        fix = f"There are {', '.join(Grpo.model_fields)}; write NAME=VALUE."
        raise UsageError(f"--set {name}: {wrong['msg']}.", fix=fix) from None


def _rows(
    store: Any, base: Path, plan: "Plan", options: dict[str, Any], *, counted: bool
) -> "tuple[list[Row], dict[str, str], Any]":
    from journeyman.traces.find import find
    from journeyman.training.base import tokenizer
    from journeyman.training.rows import Reader, few_of_each, general, read_rows

    reader = Reader(base, None if counted else tokenizer(base))
    imitated = plan.method == "sft"
    where = options["where"] if options["where"] is not None else "reward=1" if imitated else "is:scored"
    found = sorted(run.run_id for run in find(store, where, limit=None))
    rows, skipped = read_rows(store, found, reader, practised=not imitated)
    if imitated:
        read, rows = rows, few_of_each(rows, options["each"])
        taken = {row.run_id for row in rows}
        why = f"another has the same words, or {options['each']} others did the task"
        skipped |= {row.run_id: why for row in read if row.run_id not in taken}

    if imitated and options["replay"]:
        rows += general(options["replay"], reader, int(len(rows) * options["share"]), plan.seed)

    return rows, skipped, dict(reader.counts)


def _dry(rows: "list[Row]", skipped: dict[str, str], counts: Any, *, as_json: bool) -> None:
    from collections import Counter

    why = Counter(skipped.values())
    found = {"rows": len(rows), "targets": sum(sum(row.drawn) for row in rows), "taken": counts, "left_out": dict(why)}
    if as_json:
        print_json(found)
        return

    click.echo(f"{found['rows']} row{'s' * (len(rows) != 1)} with {found['targets']} targets")
    if not (rows or skipped):
        click.echo("No run matches: journeyman traces list says which there are.", err=True)

    for name, count in counts.items():
        click.echo(f"  {count} {name}")

    for reason, count in why.most_common():
        click.echo(f"left out {count}: {reason}")


def _tell(job: "Job", done: "Trained", *, as_json: bool) -> None:
    if as_json:
        print_json(done.model_dump(mode="json"))
        return

    agreed = done.agreement
    if sys.stderr.isatty():
        sys.stderr.write("\n")

    click.echo(f"local:{job.base}+{done.adapter}")
    click.echo(f"{done.steps} steps in {done.seconds:.0f} s on {done.tokens} targets, last loss {done.loss}", err=True)
    click.echo(
        f"engine and trainer differ by {agreed.mismatch:.3f} nats a token, KL {agreed.kl:.4f} (without the adapter "
        f"{agreed.base_kl:.4f}), same likeliest token {agreed.same_top:.0%} of {agreed.places}",
        err=True,
    )
