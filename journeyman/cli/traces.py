"""`journeyman traces`: what was recorded, read back."""

import click

from journeyman.cli.output import json_option, print_json


@click.group()
def traces() -> None:
    """List and read the runs that were recorded."""


@traces.command("list")
@click.option("-n", "--limit", default=20, show_default=True, help="How many, newest first; 0 for all.")
@json_option()
def list_runs(limit: int, json: bool) -> None:
    """List runs, newest first."""
    from journeyman.policies.safe import safe  # noqa: PLC0415 - after --help

    with _store() as store:
        runs = store.runs(limit or None)

    if json:
        print_json([run.model_dump(mode="json") for run in runs])
        return

    for run in runs:
        outcome = run.outcome or "unfinished"
        answer = safe(run.answer or "", 40)
        click.echo(f"{run.run_id}  {outcome:<11}  {run.steps:>3} steps  {safe(run.prompt, 50)}  {answer}".rstrip())

    if not runs:
        click.echo(f'No runs in {store.where} yet. Make one: journeyman run "What is 2 + 3?"', err=True)


@traces.command("show")
@click.argument("run_id", default="last")
@json_option(help_text="Print the stored events, one JSON object.")
def show(run_id: str, json: bool) -> None:
    """Show one run as a transcript. RUN_ID may be a part of an id; without one, the newest run."""
    from journeyman.policies.safe import safe  # noqa: PLC0415
    from journeyman.traces.transcript import transcript  # noqa: PLC0415

    with _store() as store:
        stored = list(store.events(store.resolve(run_id)))

    if json:
        events = ",".join(each.json() for each in stored)
        click.echo(f'{{"run_id":"{stored[0].run_id}","events":[{events}]}}')
        return

    for line in transcript(stored, lambda text: safe(text, 2000)):
        click.echo(line)


def _store():  # noqa: ANN202 - the store is imported only here
    from contextlib import closing  # noqa: PLC0415

    from journeyman.config import load_settings  # noqa: PLC0415
    from journeyman.traces.store import Store  # noqa: PLC0415

    settings = load_settings()
    return closing(Store.open(settings.store, durable=settings.durable))
