"""`journeyman traces verify`, `delete`, `gc`, `stats` and `rebuild`: looking after the store."""

import click

from journeyman.cli.output import answer, confirm, json_option, print_json
from journeyman.cli.stores import opened

VERIFY = """\b
Try:
  journeyman traces verify
  journeyman traces verify last
  journeyman traces verify --json | jq '.links'"""

DELETE = """\b
Try:
  journeyman traces delete k3f9qd
  journeyman traces delete --yes k3f9qd 8w2m1x"""


@click.command(epilog=VERIFY)
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option("--quiet", "-q", is_flag=True, help="Only what is fatal.")
@json_option()
def verify(runs: tuple[str, ...], quiet: bool, json: bool) -> int:
    """Derive every hash again and list what is wrong with the record.

    fatal: something is not what was stored, or must not be trained on. The exit code is 1 where a record is at fault;
    that a secret was typed in a run, or a stranger's text steered it, is none.
    """
    from journeyman.traces.findings import UNTRAINED
    from journeyman.traces.verify import last_link
    from journeyman.traces.verify import verify as check

    with opened() as store:
        ids = [store.resolve(run) for run in runs] or None
        reports = [report for report in check(store, ids) if report.level == "fatal" or not quiet]
        links = {run_id: last_link(store, run_id) for run_id in ids or [run.run_id for run in store.runs(None)]}

    bad = sum(report.level == "fatal" and report.code not in UNTRAINED for report in reports)
    if json:
        print_json({"ok": not bad, "findings": [report.model_dump() for report in reports], "links": links})
        return 1 if bad else 0

    for report in reports:
        click.echo(f"{report.level:<5}  {report.run_id or '-'}  {report.code}: {report.detail}")

    click.echo(f"{len(links)} runs, {len(reports)} findings, {bad} fatal")
    return 1 if bad else 0


@click.command(epilog=DELETE)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option()
def delete(runs: tuple[str, ...], yes: bool, json: bool) -> None:
    """Delete runs for good.

    What they said is overwritten in the store; that there was such a run stays known. Copies elsewhere are not reached.
    """
    from journeyman.traces.forget import delete_runs

    with opened() as store:
        ids = list(dict.fromkeys(store.resolve(run) for run in runs))
        if not yes:
            confirm(f"Delete {', '.join(ids)} for good?")

        swept = delete_runs(store, ids)

    answer({"deleted": ids, "bytes_of_content": swept}, f"deleted {', '.join(ids)}", json=json)


@click.command()
@json_option()
def gc(json: bool) -> None:
    """Remove content that no run names, and give free space back."""
    from journeyman.traces.forget import gc as sweep
    from journeyman.traces.forget import stats as count

    with opened() as store:
        before = count(store).bytes
        swept = sweep(store)
        after = count(store).bytes

    told = f"{swept:,} bytes of content removed; the store has {after:,} bytes, it had {before:,}"
    answer({"bytes_of_content": swept, "bytes_before": before, "bytes_after": after}, told, json=json)


@click.command()
@json_option()
def stats(json: bool) -> None:
    """Count runs, events and bytes."""
    from journeyman.traces.forget import stats as count

    with opened() as store:
        found = count(store)
        where = store.where

    rows = (f"  {name:<10}  {value:>14,}" for name, value in found)
    answer({"store": where, **found.model_dump()}, where, *rows, json=json)


@click.command()
@json_option()
def rebuild(json: bool) -> None:
    """Make every table that questions are asked of anew, from the events."""
    from journeyman.traces.project import rebuild as make

    with opened() as store:
        count = make(store)

    answer({"runs": count}, f"{count} runs", json=json)
