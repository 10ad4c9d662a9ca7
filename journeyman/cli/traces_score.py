"""`journeyman traces score` and `rate`: what stored runs are worth, judged anew or by a person."""

import json as jsonlib
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import click

from journeyman.cli.output import answer, json_option, print_json
from journeyman.cli.stores import opened
from journeyman.errors import UsageError

if TYPE_CHECKING:
    from journeyman.traces.store import Store
    from journeyman.training.scoring import Again
    from journeyman.training.tasks import Task
    from journeyman.verifiers.check import Check

SCORE = """\b
Try:
  journeyman traces score --tasks tasks.toml batch:261122-091500-k3f9qd
  journeyman traces score --check grounding since:2d
  journeyman traces score --judge local:big.gguf batch:261122-091500-k3f9qd
  journeyman traces score --check '{"verifier": "length", "most": 400}' last"""

RATE = """\b
Try:
  journeyman traces rate last 1
  journeyman traces rate k3f9qd 0.2 --note "right, but rude"
  journeyman traces list 'reward.human>0.5'"""


@click.command(epilog=SCORE)
@click.argument("filter", nargs=-1, metavar="RUN|FILTER...")
@click.option("--tasks", "source", metavar="TASKS", help="Judge attempts at these tasks by the checks they have now.")
@click.option("--check", "checks", multiple=True, metavar="NAME|JSON", help="A verifier beside the reward. Repeatable.")
@click.option("--judge", metavar="MODEL", help="Ask a model about right attempts of groups that have several.")
@click.option("--everything", is_flag=True, help="With --judge: about every run, right or wrong or neither.")
@click.option("--rubric", default="", help="With --judge: what it should look for.")
@click.option("-n", type=click.IntRange(1), help="How many tasks a generator makes (as for the rollout).")
@click.option("--seed", default=1, show_default=True, help="Of a generator.")
@json_option()
def score(*, filter: tuple[str, ...], source: str | None, checks: tuple[str, ...], json: bool, **options: Any) -> None:  # noqa: A002
    """Judge stored runs anew; nothing is run again.

    With --tasks, attempts at those tasks get a new reward, which counts in place of the old one. With --check, runs get
    that verifier's score beside their reward; with --judge a model's opinion stands there, and no reward changes by it.
    Files are judged as the run left them.
    """
    import anyio

    from journeyman.training.taskfile import load_tasks

    if not (source or checks or options["judge"]):
        fix = "Say --tasks TASKS, --check VERIFIER or --judge MODEL."
        raise UsageError("What are they to be judged by?", fix=fix)

    tasks = load_tasks(source, n=options["n"], seed=options["seed"]) if source else []
    with opened() as store:
        runs = chosen(store, filter)
        if not runs:
            raise UsageError("No run fits.", fix="See which there are: journeyman traces list FILTER")

        if source or checks:
            done = anyio.run(_score, store, runs, tasks, [_check(each) for each in checks])

        if options["judge"]:
            done = anyio.run(_ask, store, runs, options)

    if json:
        print_json(done.model_dump(mode="json"))
        return

    click.echo(f"{done.runs} runs judged, {done.changed} with another reward, {done.unjudged} not judged")
    if done.skipped:
        run_id, why = next(iter(done.skipped.items()))
        click.echo(f"left out {len(done.skipped)} runs, such as {run_id}: {why}", err=True)


def chosen(store: "Store", words: tuple[str, ...]) -> list[str]:
    """The runs that a part of an id, or a filter, means; oldest first."""
    from journeyman.traces.find import find

    if len(words) == 1 and words[0].replace("-", "").isalnum():
        try:
            return [store.resolve(words[0])]
        except UsageError:
            if words[0] == "last":
                raise

    return [run.run_id for run in reversed(find(store, " ".join(words), None))]


async def _score(store: "Store", runs: list[str], tasks: "list[Task]", checks: "list[Check]") -> "Again":
    from journeyman.training.scoring import score_again
    from journeyman.verifiers.desk import Desk

    async with Desk() as desk:
        with _bar(len(runs)) as bar:
            return await score_again(store, runs, tasks, desk, extra=checks, report=lambda: bar.update(1))


async def _ask(store: "Store", runs: list[str], options: dict[str, Any]) -> "Again":
    from journeyman.agent.models.spec import Engine, make_model
    from journeyman.config import load_settings
    from journeyman.training.opinions import break_ties

    settings = load_settings(model=options["judge"])
    model = make_model(options["judge"], Engine(threads=settings.threads, context=settings.context))
    with _bar(len(runs)) as bar:
        return await break_ties(
            store,
            runs,
            model,
            everything=options["everything"],
            rubric=options["rubric"],
            report=lambda: bar.update(1),
        )


def _bar(length: int) -> AbstractContextManager[Any]:
    import sys

    return click.progressbar(length=length, label="Judging", file=sys.stderr, hidden=not sys.stderr.isatty())


def _check(text: str) -> "Check":
    from pydantic import ValidationError

    from journeyman.verifiers.check import Check

    try:
        check = Check.model_validate(jsonlib.loads(text) if text.lstrip().startswith("{") else {"verifier": text})
    except (ValueError, ValidationError) as error:
        fix = """--check numeric takes parameters so: --check '{"verifier": "numeric", "expected": "5"}'"""
        raise UsageError(f"--check {text} is no check: {error}", fix=fix) from None

    check.resolve()
    return check


@click.command(epilog=RATE)
@click.argument("run_id", metavar="RUN")
@click.argument("score", type=click.FloatRange(0, 1))
@click.option("--note", default="", help="Why.")
@json_option()
def rate(*, run_id: str, score: float, note: str, json: bool) -> None:
    """Say what you think of a run: 0 is wrong, 1 is right.

    The rating is a score called `human`. It is the run's reward where no verifier gave one; tasks count it beside their
    checks with a check of that name.
    """
    import anyio

    from journeyman.training.scoring import rate as keep

    with opened() as store:
        run_id = store.resolve(run_id)
        anyio.run(keep, store, run_id, score, note)

    answer({"run_id": run_id, "human": score, "note": note}, f"{run_id}  {score:g}", json=json)
