"""`journeyman improve`: practise, verify, train, test on held-out tasks; promote what is surely better."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journeyman.cli.output import json_option, print_json
from journeyman.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from journeyman.training.course import Course, Found

HELP = """Make a local model better at tasks: practise, verify, train, test; in rounds.

\b
Examples:
  journeyman improve --tasks tasks.toml
  journeyman improve --tasks starter:arithmetic --rounds 2 --limit 40
  journeyman improve --tasks starter --recipe r1 --model local:PATH.gguf
  journeyman improve --tasks tasks.toml --recipe distill --teacher anthropic:NAME

\b
Recipes:
  practice   imitate what came out right
  guided     first with the tasks' own order of tools given, then without
  zero       reinforcement alone, from the model as it is
  r1         imitate the tasks' oracles, reinforce, imitate, reinforce
  distill    imitate a bigger model's verified runs

One task in four is held out and never trained on. The new adapter is promoted
if it is surely better on those (a paired test), no worse on older skills, and
better than the same training with meaningless rewards. What was promoted is
used at once: `journeyman models rollback` takes it back.
"""


@click.command(help=HELP)
@click.option(
    "--tasks", required=True, help="As for `rollout`: a file, starter, starter:KIND, gym:NAME, module:function."
)
@click.option("-m", "--model", default="local:starter", show_default=True, help="A local model; with its adapter.")
@click.option("--fresh", is_flag=True, help="Begin a new adapter where the model has one.")
@click.option(
    "--recipe", default="practice", show_default=True, help="See above, or stages: cold,guide,sft,grpo,teach."
)
@click.option(
    "--rounds", type=click.IntRange(1), default=1, show_default=True, help="Times the recipe's last stage is done."
)
@click.option(
    "--limit", type=click.IntRange(1), help="Tasks to practise in a round; of a generator with kinds, of each."
)
@click.option("-n", "n", type=click.IntRange(2), default=8, show_default=True, help="Attempts at each.")
@click.option(
    "--mixed", type=click.IntRange(0), default=0, metavar="K", help="Practise until K groups have different rewards."
)
@click.option(
    "--held", type=click.IntRange(1), help="Held-out tasks; of a generator with kinds, of each.  [default: all; 20]"
)
@click.option(
    "--passes",
    type=click.IntRange(0),
    default=0,
    metavar="K",
    help="Try held-out tasks K times, for pass@K and a vote.",
)
@click.option("--regression", help="Tasks of older skills.  [default: starter, for the starter]")
@click.option("--controls/--no-controls", default=True, help="Train with meaningless rewards too.", show_default=True)
@click.option("--cold", type=click.IntRange(1), default=400, show_default=True, help="Conversations of a cold start.")
@click.option("--aloud", is_flag=True, help="Think of each call first: a cold start teaches it, grpo rewards it.")
@click.option(
    "--replay",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Samples not to forget: JSON lines of messages.",
)
@click.option("--teacher", default="", help="Spec of the model to learn from.")
@click.option("--preset", default="dapo", show_default=True, help="Of grpo, as for `train`.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="One option of the preset.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=1e-3, show_default=True)
@click.option("--epochs", type=click.FloatRange(0, min_open=True), default=2.0, show_default=True)
@click.option("--rank", type=click.IntRange(1), default=16, show_default=True)
@click.option("--first", type=click.IntRange(0), default=0, help="Lowest layer that a new adapter has.")
@click.option("--parallel", type=click.IntRange(1), default=4, show_default=True, help="Attempts at once.")
@click.option("--seed", default=1, show_default=True)
@click.option("--name", help="Of what comes out.  [default: the model's and the time]")
@click.option("--keep/--no-keep", "promote", default=True, help="Promote it, if it is better.", show_default=True)
@json_option()
def improve(**options: Any) -> None:
    import shlex
    import time

    from journeyman.agent.models.kept import demand_name
    from journeyman.config import load_settings
    from journeyman.home import data_dir
    from journeyman.traces.store import Store
    from journeyman.training.base import demand_trainer
    from journeyman.training.improve import Improvement

    demand_trainer()
    named = options["name"] or time.strftime("improved-%y%m%d-%H%M%S")
    demand_name(named)
    course = _course(options, named)
    folder = data_dir() / "training" / named
    words = sys.argv[1:] if options["name"] else [*sys.argv[1:], "--name", named]
    try:
        with Store.open(load_settings().store) as store:
            improvement = Improvement(course, store, folder, _say)
            found = improvement.run()
    except (KeyboardInterrupt, Interrupted):
        fix = f"Go on with it: journeyman {shlex.join(words)}"
        raise Interrupted("Interrupted; what was done is kept.", fix=fix) from None

    _finish(found, improvement.prompts, folder, options)


def _course(options: dict[str, Any], named: str) -> "Course":
    from journeyman.agent.models.spec import local_files, make_model
    from journeyman.cli.train import grpo_options
    from journeyman.training.course import RECIPES, Course
    from journeyman.training.recipe import Shape

    files = local_files(options["model"])
    stages = RECIPES.get(options["recipe"]) or tuple(options["recipe"].split(","))
    if unknown := set(stages) - {"cold", "guide", "sft", "grpo", "teach"}:
        fix = f"Recipes: {', '.join(RECIPES)}; stages: cold, guide, sft, grpo, teach."
        raise UsageError(f"There is no recipe or stage {min(unknown)!r}.", fix=fix)

    if "teach" in stages and not options["teacher"]:
        raise UsageError("Whom is it to learn from?", fix="Name a model: --teacher SPEC")

    if options["teacher"]:
        make_model(options["teacher"])  # a mistake shows now

    older = options["regression"]
    if older is None:
        older = "starter" if options["model"] == "local:starter" and options["tasks"] != "starter" else ""

    same = (
        "tasks",
        "limit",
        "n",
        "mixed",
        "held",
        "passes",
        "controls",
        "cold",
        "aloud",
        "replay",
        "teacher",
        "parallel",
        "seed",
        "rate",
        "epochs",
    )
    return Course(
        name=named,
        base=files.model,
        start=None if options["fresh"] else files.adapter,
        stages=(*stages, *stages[-1:] * (options["rounds"] - 1)),
        regression=older,
        grpo=grpo_options(options["preset"], options["settings"]),
        shape=Shape(rank=options["rank"], alpha=2.0 * options["rank"], first=options["first"]),
        **{name: options[name] for name in same},
    )


def _say(text: str) -> None:
    """On a terminal counts replace each other; elsewhere only what stays is written."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\33[2K{text}" if text.endswith("\r") else f"\r\33[2K{text}\n")
    elif not text.endswith("\r"):
        sys.stderr.write(f"{text}\n")

    sys.stderr.flush()


def _finish(found: "Found", prompts: dict[str, str], folder: Path, options: dict[str, Any]) -> None:
    from journeyman.agent.models.kept import use
    from journeyman.training.report import write_report

    spec = ""
    adapter = found.adapter
    if options["promote"] and found.verdict and found.verdict.promote and adapter:
        spec = _kept(found, adapter)
        use(spec)
        found = found.model_copy(update={"spec": spec})

    report = write_report(found, prompts, folder)
    if options["json"]:
        print_json(
            {
                "name": found.course.name,
                "spec": spec,
                "report": str(report),
                "adapter": adapter and str(adapter),
                "verdict": found.verdict and found.verdict.model_dump(mode="json"),
            }
        )
        return

    for reason in found.verdict.reasons if found.verdict else ("Nothing was learnt.",):
        click.echo(reason, err=True)

    click.echo(f"report: {report}", err=True)
    click.echo(
        f"in use: {spec} (journeyman models rollback takes it back)" if spec else "not promoted; nothing changed",
        err=True,
    )
    click.echo(spec or str(adapter or ""))


def _kept(found: "Found", adapter: Path) -> str:
    """The spec of the model that is kept, once."""
    from datetime import UTC, datetime

    from journeyman.agent.models.kept import find_kept, keep

    course, pair = found.course, found.held_out
    if find_kept(course.name):
        return f"local:{course.name}"

    held_out = pair.model_dump(mode="json", exclude={"gained", "lost"}) if pair else None
    card = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "tasks": course.tasks, "held_out": held_out}
    return keep(course.name, course.base, adapter, card)
