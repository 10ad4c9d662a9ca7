"""`journeyman compare`: the same tasks under several strategies, and what each took."""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journeyman.cli.output import json_option, print_json
from journeyman.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from journeyman.training.compare import Arm, Comparison

HELP = """Compare ways to spend thinking: each strategy tries the same tasks once.

\b
Examples:
  journeyman compare plain "vote(5)" --tasks starter:arithmetic --limit 20
  journeyman compare plain cot "route(plain, vote(5))" --tasks tasks.toml
  journeyman compare plain "best(4, by=judge)" --tasks starter --plot out.svg

\b
STRATEGIES: plain, direct, cot, budget(max=512), no_switch, vote(5), refine(2),
best(4, by=judge), tpo(3), beam(2), tree(12), route(plain, vote(5)) and
on('MODEL'), by another model; the first is what the others are set against.
TASKS as in `rollout`, the held-out ones by default. A strategy that asks the
verifier (by=verifier) is told by the task's own checks whether it is right:
an upper bound, marked with a star.

It tells what was right, with the 95 % interval; tokens that the model wrote,
seconds and dollars, a task; the tasks that only this strategy (better) or only
the first (worse) got right, and p, the chance of so uneven a split by luck.

Every attempt and candidate is in the trace store: `journeyman traces list
batch:NAME/STRATEGY`. The same --batch goes on where it was cut off.
"""


@click.command(help=HELP)
@click.argument("strategies", nargs=-1, required=True)
@click.option("--tasks", "source", required=True, metavar="TASKS", help="What is tried; as in `rollout`.")
@click.option("--limit", type=click.IntRange(1), help="Tasks; of a generator with kinds, of each.  [default: all]")
@click.option("--split", type=click.Choice(["train", "held_out", "all"]), default="held_out", show_default=True)
@click.option("--seed", default=1, show_default=True, help="Of a generator of tasks.")
@click.option("-m", "--model", help="As in `run`.  [default: what the settings say]")
@click.option("--batch", help="The comparison's name; one that exists is gone on with.  [default: a new one]")
@click.option("--sampling-seed", default=1, show_default=True, help="Of the sampling, the same for each strategy.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw it too, as SVG.")
@json_option()
def compare(**options: Any) -> None:
    import anyio

    from journeyman.traces.store import new_run_id

    options["batch"] = options["batch"] or new_run_id()
    if options["plot"]:
        _demand_place(options["plot"])

    for text, times in Counter(options["strategies"]).items():
        if times > 1:
            click.echo(f"note: {text} is named {times} times and tried once", err=True)

    try:
        result = anyio.run(_compare, options)
    except KeyboardInterrupt:
        again = f"Go on with it: give --batch {options['batch']} and the rest as before"
        raise Interrupted("Interrupted; what was done is stored.", fix=again) from None

    if options["plot"]:
        from journeyman.cli.plot import svg

        try:
            options["plot"].write_text(svg(result.arms), encoding="utf-8")
        except OSError as error:
            again = f"What was tried is stored: give --batch {options['batch']}, another FILE and the rest as before"
            raise UsageError(f"--plot {options['plot']} cannot be written: {error.strerror}.", fix=again) from error

    if options["json"]:
        print_json(result.model_dump(mode="json"))
    else:
        _tell(result)


def _demand_place(path: Path) -> None:
    """Raises UsageError where a drawing cannot be written, before an hour is spent on what it would show."""
    there = path if path.exists() else path.parent
    if path.is_dir() or not path.parent.is_dir() or not os.access(there, os.W_OK):
        raise UsageError(f"--plot {path} cannot be written.", fix="Name a file in a folder that is there.")


async def _compare(options: dict[str, Any]) -> "Comparison":
    from journeyman.agent.models.found import find_spec
    from journeyman.agent.models.model import Sampling
    from journeyman.agent.models.spec import Engine, make_model
    from journeyman.agent.strategies.spec import strategy
    from journeyman.agent.strategies.strategy import PARALLEL
    from journeyman.config import load_settings
    from journeyman.traces.store import Store
    from journeyman.training.compare import Plan, compare
    from journeyman.training.taskfile import load_tasks

    arms = [strategy(text) for text in dict.fromkeys(options["strategies"])]
    split = None if options["split"] == "all" else options["split"]
    tasks = load_tasks(options["source"], n=options["limit"], seed=options["seed"], split=split)
    settings = load_settings(model=options["model"])
    width = min(PARALLEL, max(each.width for each in arms))
    engine = Engine(threads=settings.threads, context=settings.context, parallel=width, stream=False)
    model = make_model(settings.model or await find_spec(), engine)
    others = {spec: make_model(spec, engine) for each in arms for spec in each.models}
    plan = Plan(options["batch"], arms, tasks, sampling=Sampling(seed=options["sampling_seed"], max_tokens=512))
    done = 0

    def report(_strategy: object, _trial: object) -> None:
        nonlocal done
        done += 1
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\33[2K{done} attempts of at most {len(arms) * len(tasks)}")

    with Store.open(settings.store, durable=settings.durable) as store:
        result = await compare(plan, model, store, report, others)

    if sys.stderr.isatty():
        sys.stderr.write("\r\33[2K")

    return result


def _tell(result: "Comparison") -> None:
    click.echo(f"{result.model}, batch {result.name}\n\n{table(result.arms)}")
    for kind, arms in result.kinds.items():
        click.echo(f"\n{kind}\n{table(arms)}")

    from journeyman.cli.plot import drawn

    click.echo(f"\n{drawn(result.arms)}")


def table(arms: "Sequence[Arm]") -> str:
    """A line a strategy, as Markdown."""
    head = (
        "| strategy | right | 95 % | tokens | seconds | $ | better | worse | p |\n|---|---|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *map(_row, arms)])


def _row(arm: "Arm") -> str:
    star = "*" if "verifier" in arm.strategy else ""
    cost = "?" if arm.usd is None else f"{arm.usd:.4f}"
    unjudged = f" ({arm.unjudged} unjudged)" if arm.unjudged else ""
    return (
        f"| {arm.strategy}{star} | {arm.right}/{arm.tasks}{unjudged} | {arm.low:.0%} to {arm.high:.0%} "
        f"| {arm.tokens:.0f} | {arm.seconds:.1f} | {cost} | {arm.better} | {arm.worse} | {arm.p:.2g} |"
    )
