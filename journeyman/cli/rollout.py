"""`journeyman rollout`: practise tasks; every attempt is verified and recorded token by token."""

import shlex
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from journeyman.cli.output import json_option, print_json
from journeyman.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from journeyman.agent.models.engine import Engine
    from journeyman.traces.store import Store
    from journeyman.training.attempt import Trial
    from journeyman.training.rollout import Batch
    from journeyman.training.tally import Tally, Tried
    from journeyman.training.tasks import Task

HELP = """Practise: try each task several times, judge every attempt, record it token by token.

\b
Examples:
  journeyman rollout tasks.toml -n 8
  journeyman rollout starter:arithmetic -n 4 --limit 10
  journeyman rollout gym:chain_sum --limit 20 --parallel 4
  journeyman rollout starter --mixed 50            until 50 groups teach
  journeyman rollout tasks.toml --batch 261122-091500-k3f9qd   go on with one

\b
TASKS is a .toml or .jsonl file, a folder, starter, starter:KIND, coding,
gym:NAME or module:function; `journeyman tasks check TASKS` proves them first.

Attempts are drawn at temperature 1 with log-probabilities, as training needs
them, each in a folder of its own under the `ask` policy with nobody there to
ask. The runs are in the trace store: `journeyman traces list batch:NAME`.
"""


@click.command(help=HELP)
@click.argument("source", metavar="TASKS")
@click.option("-n", "n", type=click.IntRange(1), default=8, show_default=True, help="Attempts at each task.")
@click.option("--limit", type=click.IntRange(1), help="Tasks; of a generator with kinds, of each.  [default: all]")
@click.option("--split", type=click.Choice(["train", "held_out", "all"]), default="train", show_default=True)
@click.option("--seed", default=1, show_default=True, help="Of a generator of tasks.")
@click.option("-m", "--model", help="As in `run`.  [default: what the settings say]")
@click.option("--batch", help="The batch's name; one that exists is gone on with.  [default: a new one]")
@click.option("--mixed", type=click.IntRange(1), metavar="K", help="Go on until K groups have different rewards.")
@click.option("--zone", metavar="BATCH", help="Only tasks that were right and wrong in that earlier batch.")
@click.option("--parallel", type=click.IntRange(1), default=4, show_default=True, help="Attempts at once.")
@click.option("--ray", is_flag=True, help="On the Ray cluster of RAY_ADDRESS, into a PostgreSQL store.")
@click.option("--temperature", type=click.FloatRange(0, 10), default=1.0, show_default=True)
@click.option("--max-tokens", type=click.IntRange(1), default=512, show_default=True, help="Of each model call.")
@click.option("--sampling-seed", type=int, help="Of the sampling; by default it is left to chance.")
@json_option()
def rollout(**options: Any) -> None:
    import anyio

    from journeyman.traces.store import new_run_id

    options["batch"] = options["batch"] or new_run_id()
    words = sys.argv[1:] if "--batch" in sys.argv else [*sys.argv[1:], "--batch", options["batch"]]
    again = f"Go on with it: journeyman {shlex.join(words)}"
    try:
        result = anyio.run(_rollout, options)
    except KeyboardInterrupt:
        raise Interrupted("Interrupted; what was done is stored.", fix=again) from None

    if result.mixed < (options["mixed"] or 0):
        click.echo(
            f"note: {result.mixed} of {options['mixed']} groups teach something; there are no more tasks", err=True
        )

    if options["json"]:
        print_json({"batch": options["batch"], **result.model_dump(mode="json")})
    else:
        _tell(options["batch"], result)


async def _rollout(options: dict[str, Any]) -> "Tally":
    from journeyman.agent.models.found import find_spec
    from journeyman.agent.models.spec import Engine, make_model
    from journeyman.config import load_settings
    from journeyman.traces.store import Store
    from journeyman.training.rollout import attempts, rollout, sample_until
    from journeyman.training.tally import tally
    from journeyman.training.taskfile import draw_more

    settings = load_settings(model=options["model"])
    engine = Engine(threads=settings.threads, context=settings.context, parallel=options["parallel"], stream=False)
    model = make_model(settings.model or await find_spec(), engine)
    with Store.open(settings.store, durable=settings.durable) as store:
        batch = _batch(options, store)
        bar = _Bar(batch, list(attempts(store, batch.name).values()))
        if options["ray"]:
            await _on_a_cluster(batch, model.spec, engine, str(settings.store), bar)
        elif batch.mixed and not options["limit"] and not options["zone"]:
            more = partial(draw_more, options["source"], seed=options["seed"], split=_split(options))
            await sample_until(batch, more, model, store, bar)
        else:
            await rollout(batch, model, store, bar)

        bar.end()
        return tally(attempts(store, batch.name).values())


async def _on_a_cluster(batch: "Batch", spec: str, engine: "Engine", where: str, bar: "_Bar") -> None:
    import anyio.to_thread

    from journeyman.training.cluster import fan_out

    work = partial(fan_out, batch, spec, engine, where, report=bar)
    await anyio.to_thread.run_sync(work, abandon_on_cancel=True)


def _batch(options: dict[str, Any], store: "Store") -> "Batch":
    from journeyman.agent.models.model import Sampling
    from journeyman.training.rollout import Batch, learnable
    from journeyman.training.taskfile import load_tasks

    tasks = load_tasks(options["source"], n=options["limit"], seed=options["seed"], split=_split(options))
    _tell_held_out(options)
    if options["zone"]:
        tasks = _within(learnable(store, options["zone"]), tasks, options)

    sampling = Sampling(
        temperature=options["temperature"],
        max_tokens=options["max_tokens"],
        seed=options["sampling_seed"],
        logprobs=True,
    )
    return Batch(
        options["batch"],
        tasks,
        n=options["n"],
        parallel=options["parallel"],
        mixed=options["mixed"] or 0,
        sampling=sampling,
    )


def _tell_held_out(options: dict[str, Any]) -> None:
    """Say so where tasks of a file or a folder are left out unasked."""
    from pathlib import Path

    from journeyman.training.taskfile import load_tasks

    if options["split"] != "train" or not Path(options["source"]).exists():
        return

    tasks = load_tasks(options["source"])
    if held := sum(task.split == "held_out" for task in tasks):
        verb = "is" if held == 1 else "are"
        click.echo(f"note: {held} of {len(tasks)} tasks {verb} held out and not practised (--split all)", err=True)


def _split(options: dict[str, Any]) -> Any:
    return None if options["split"] == "all" else options["split"]


def _within(zone: set[str], tasks: "list[Task]", options: dict[str, Any]) -> "list[Task]":
    found = [task for task in tasks if task.key in zone]
    if not found:
        message = f"None of the {len(zone)} tasks of batch {options['zone']} is among those of {options['source']}."
        raise UsageError(message, fix="Name the tasks, --limit and --seed that it was made with.")

    return found


class _Bar:
    """Attempts so far on a terminal's stderr: how many, how often right, how fast, what it cost."""

    def __init__(self, batch: "Batch", before: "list[Tried]") -> None:
        self._all = len(batch.tasks) * batch.n
        self._done = len(before)
        self._right = sum(each.reward == 1 for each in before)
        self._judged = sum(each.reward is not None for each in before)
        self._usd = sum(each.usd or 0.0 for each in before)
        self._tokens, self._began = 0, time.monotonic()
        self._shown = sys.stderr.isatty()

    def __call__(self, trial: "Trial") -> None:
        self._done += 1
        self._right += trial.right
        self._judged += trial.score.value is not None
        self._tokens += trial.usage.completion_tokens
        self._usd += trial.usd or 0.0
        self._show()

    def end(self) -> None:
        if self._shown:
            sys.stderr.write("\n")

    def _show(self) -> None:
        if not self._shown:
            return

        speed = self._tokens / max(time.monotonic() - self._began, 0.001)
        rate = f"{self._right / self._judged:.0%} right" if self._judged else "none judged"
        cost = f", ${self._usd:.4f}" if self._usd else ""
        done = f"{self._done} of {max(self._all, self._done)} attempts"
        sys.stderr.write(f"\r\33[2K{done}, {rate}, {speed:.0f} tokens/s written{cost}")
        sys.stderr.flush()


def _tell(batch: str, result: "Tally") -> None:
    click.echo(f"batch      {batch}")
    click.echo(f"attempts   {result.attempts}, {result.right} right, {result.unjudged} not judged")
    click.echo(f"groups     {result.groups}, {result.mixed} with different rewards")
    for each in result.passes:
        interval = f" [{each.low:.0%}, {each.high:.0%}]" if result.groups > 1 else ""
        click.echo(f"pass@{each.k:<5} {each.rate:.0%}{interval}")

    cost = "unknown" if result.usd is None else f"${result.usd:.4f}"
    click.echo(f"took       {result.tokens} tokens, {result.seconds:.0f} s of attempts, {cost}")
