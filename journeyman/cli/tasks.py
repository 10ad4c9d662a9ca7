"""`journeyman tasks`: what there is to practise, and whether it can be trusted."""

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journeyman.cli.group import Group
from journeyman.cli.output import json_option, print_json
from journeyman.errors import UsageError
from journeyman.safe import safe

if TYPE_CHECKING:
    from journeyman.training.prove import Fault
    from journeyman.training.tasks import Task

SOURCES = """\b
TASKS is one of
  tasks.toml, tasks.jsonl  your own; GSM8K, AIME, MATH, GPQA, SWE-bench rows too
  FOLDER                   tasks as Terminal-Bench keeps them, one or many
  starter, starter:KIND    the kinds the starter model was trained on (or KIND,KIND)
  coding                   small functions to write, judged by hidden calls
  gym:NAME                 a reasoning-gym generator, such as gym:chain_sum
  module:function          a function that returns tasks"""

LIST = f"""{SOURCES}

\b
Try:
  journeyman tasks list starter
  journeyman tasks list gym:chain_sum -n 5 --json"""

CHECK = f"""{SOURCES}

\b
Try:
  journeyman tasks check tasks.toml
  journeyman tasks check starter -n 20"""

SHOW = f"""{SOURCES}

\b
Try:
  journeyman tasks show tasks.toml notes"""

EXPORT = f"""{SOURCES}

\b
Try:
  journeyman tasks export starter prompts.jsonl --format trl
  journeyman tasks export gym:chain_sum prompts.parquet --format verl -n 500"""

NEW = """\b
Try:
  journeyman tasks new tasks.toml
  journeyman tasks check tasks.toml"""

TEMPLATE = """\
# Tasks to practise on. `journeyman tasks check FILE` proves them: the oracle must score 1, a cheat may not.

[[task]]
name = "notes"
prompt = "How many bytes are in notes.txt, times 37?"
answer = "666"
match = "numeric"       # or exact, contains, choice, math, refusal, talk
files = { "notes.txt" = "eighteen letters.\\n" }
oracle = [
    { tool = "files__info", arguments = { path = "notes.txt" } },
    { tool = "calculator__calculate", arguments = { expression = "18 * 37" } },
]

[[task]]
name = "port"
prompt = "Set the port in server.toml to 8080."
allow = ["files.edit", "files.write"]       # what the policy must let through for this
files = { "server.toml" = "host = \\"localhost\\"\\nport = 80\\n" }
says = "The port is 8080 now."
oracle = [{ tool = "files__edit", arguments = { path = "server.toml", old = "port = 80", new = "port = 8080" } }]
cheats = [{ answer = "The port is 8080 now." }]     # says so, and did nothing

[[task.checks]]         # in place of `answer`; `verifier` names one of ours or `module:function`
verifier = "files"
match = { "server.toml" = "^port = 8080$" }
contain = { "server.toml" = "localhost" }
"""


def _select(command: Any) -> Any:
    command = click.option("--split", type=click.Choice(["train", "held_out"]), help="Only those of one split.")(
        command
    )
    command = click.option("--seed", default=1, show_default=True, help="Of a generator.")(command)
    return click.option("-n", type=click.IntRange(1), help="How many; of a generator with kinds, of each.")(command)


@click.group(cls=Group)
def tasks() -> None:
    """Tasks to practise on: what there is, and whether it can be trusted."""


@tasks.command("list", epilog=LIST)
@click.argument("source", metavar="TASKS")
@_select
@json_option()
def list_tasks(source: str, n: int | None, seed: int, split: Any, json: bool) -> None:
    """List tasks: key, split, kind and prompt."""
    from journeyman.training.taskfile import load_tasks

    found = load_tasks(source, n=n, seed=seed, split=split)
    if json:
        print_json([_row(task) for task in found])
        return

    for task in found:
        click.echo(f"{task.key}  {task.split:<8}  {safe(task.kind, 18):<18}  {safe(task.prompt, 80)}")

    splits = Counter(task.split for task in found)
    click.echo(f"\n{len(found)} tasks, {splits['train']} to train on, {splits['held_out']} held out", err=True)


@tasks.command(epilog=SHOW)
@click.argument("source", metavar="TASKS")
@click.argument("key")
@_select
@json_option()
def show(*, source: str, key: str, n: int | None, seed: int, split: Any, json: bool) -> None:
    """Show one task by its key, the beginning of it, or its name."""
    from journeyman.training.taskfile import load_tasks

    found = load_tasks(source, n=n, seed=seed, split=split)
    task = next((each for each in found if each.name == key or each.key.startswith(key)), None)
    if task is None:
        raise UsageError(f"There is no task {key!r} in {source}.", fix=f"journeyman tasks list {source}")

    if json:
        print_json({**_row(task), **task.model_dump(mode="json", exclude_defaults=True)})
        return

    click.echo(f"{task.key}  {task.split}  {safe(task.kind)}  {safe(task.source)}\n\n{safe(task.prompt, lines=True)}\n")
    for path, text in task.files.items():
        click.echo(f"file    {safe(path)}: {len(text.encode())} bytes")

    for check in task.verifiers:
        counts = "gate" if check.gate else f"weight {check.weight:g}"
        click.echo(f"check   {safe(check.title)} ({counts}): {safe(str(check.parameters), 200)}")

    for call in task.oracle:
        click.echo(f"oracle  {safe(call.tool)} {safe(str(call.arguments), 200)}")

    click.echo(f"oracle  says {safe(task.says or task.answer or 'what its last call said', 200)}")


@tasks.command(epilog=CHECK)
@click.argument("source", metavar="TASKS")
@_select
@json_option()
def check(source: str, n: int | None, seed: int, split: Any, json: bool) -> None:
    """Prove tasks: each oracle must score 1, and no cheat may.

    The oracle's calls are really made, each task in a folder of its own. Every task is tried with cheats that say
    nothing, repeat the question, guess a number and recite the files, and with its own. Exits 1 if one is at fault.
    """
    import anyio

    from journeyman.training.taskfile import load_tasks

    found = load_tasks(source, n=n, seed=seed, split=split)
    with click.progressbar(length=len(found), label="Checking", file=sys.stderr) as bar:
        faulty = anyio.run(_prove, found, lambda: bar.update(1))

    if json:
        faults = [{"key": task.key, **fault.model_dump(mode="json")} for task, fault in faulty]
        print_json({"tasks": len(found), "faults": faults})
    else:
        _tell(faulty, len(found))

    click.get_current_context().exit(1 if faulty else 0)


@tasks.command(epilog=EXPORT)
@click.argument("source", metavar="TASKS")
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--format", "form", type=click.Choice(["trl", "verl"]), default="trl", show_default=True)
@click.option("-n", type=click.IntRange(1), help="How many; of a generator with kinds, of each.")
@click.option("--seed", default=1, show_default=True, help="Of a generator.")
@click.option("--force", is_flag=True, help="Also in place of a file that is there.")
@json_option()
def export(*, source: str, out: Path, form: Any, n: int | None, seed: int, force: bool, json: bool) -> None:
    """Write tasks as prompts that TRL or verl practise on: JSON lines, or Parquet if OUT ends in .parquet.

    Held-out tasks are left out. Lost: tools, policies, oracles and cheats.
    """
    from journeyman.training.prompts import export_tasks
    from journeyman.training.taskfile import load_tasks

    done = export_tasks(load_tasks(source, n=n, seed=seed), out, form, force=force)
    if json:
        print_json(done.model_dump(mode="json", exclude={"runs"}))
        return

    click.echo(f"{done.rows} rows in {out}")
    if done.skipped:
        click.echo(f"left out {len(done.skipped)} tasks, which are held out", err=True)


@tasks.command(epilog=NEW)
@click.argument("file", type=click.Path(dir_okay=False))
def new(file: str) -> None:
    """Write a file with two tasks to start from."""
    try:
        with Path(file).open("x", encoding="utf-8") as written:
            written.write(TEMPLATE)
    except FileExistsError:
        raise UsageError(f"{file} is there already.", fix="Name another file.") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.", fix="Name a file you may write.") from None

    click.echo(f"Wrote {file}. Prove it with: journeyman tasks check {file}", err=True)


async def _prove(found: "list[Task]", step: Any) -> "list[tuple[Task, Fault]]":
    from journeyman.training.prove import prove
    from journeyman.verifiers.desk import Desk

    faulty = []
    async with Desk() as desk:
        for task in found:
            faulty += [(task, fault) for fault in await prove(task, desk)]
            step()

    return faulty


def _tell(faulty: "list[tuple[Task, Fault]]", n: int) -> None:
    for task, fault in faulty:
        value = fault.score.status if fault.score.value is None else f"{fault.score.value:g}"
        wanted = "must score 1" if fault.what == "oracle" else "must not score 1"
        click.echo(
            f"{safe(task.name or task.key)}: {fault.what} {wanted}, got {value} ({safe(fault.score.evidence, 200)})"
        )

    bad = len({task.key for task, _ in faulty})
    click.echo(f"{n - bad} of {n} tasks are sound" if bad else f"All {n} tasks are sound.")


def _row(task: "Task") -> dict[str, Any]:
    return {"key": task.key, "split": task.split, "kind": task.kind, "name": task.name, "prompt": task.prompt}
