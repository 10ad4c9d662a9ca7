"""`journeyman policy lint`, `diff` and `replay`: where a policy is weak, and what another one would change."""

from typing import TYPE_CHECKING, Any

import click

from journeyman.cli.output import json_option, print_json
from journeyman.cli.policy_choice import CHOICE, COLORS, alone, assembled, named
from journeyman.cli.stores import opened
from journeyman.safe import safe

if TYPE_CHECKING:
    from journeyman.policies.compare import Change

LINT = """\b
dead       a rule that no call can match
shadowed   a rule without which every decision is the same
untrusted  an allow in a project's file that you have not trusted
invariant  a call that runs unasked and should not, with that call
untried    a tool with more combinations of conditions than were tried

\b
Try:
  journeyman policy lint
  journeyman policy lint house.toml

\b
Exit codes: 0 nothing grave, 1 a dead rule or a broken invariant."""

DIFF = """\b
Try:
  journeyman policy diff ask house.toml
  git show HEAD~:policy.toml > old.toml; journeyman policy diff old.toml policy.toml

\b
Exit codes: 0 they mean the same, 1 they do not."""

REPLAY = """\b
Try:
  journeyman policy replay --policy readonly since:7d
  journeyman policy replay --policy house.toml 'tool:files denied>0'

\b
FILTER is that of `journeyman traces list`; without one, the newest 50 runs.
Exit codes: 0 nobody is asked and nothing is stopped that was not, 1 otherwise."""


@click.command(epilog=LINT)
@click.argument("setting", metavar="[POLICY]", required=False, type=CHOICE)
@json_option()
def lint(setting: str | None, json: bool) -> int:
    """Find rules that do nothing, and calls that should not run unasked."""
    from journeyman.policies.lint import lint as flaws_of

    flaws = flaws_of(assembled(setting)[0])
    if json:
        print_json([each.model_dump(mode="json") for each in flaws])
        return 1 if any(each.grave for each in flaws) else 0

    for each in flaws:
        where = f"{safe(each.rule)} ({safe(each.origin, None)}): " if each.origin else ""
        click.secho(f"{each.kind:<9}", fg="red" if each.grave else "yellow", nl=False)
        click.echo(f" {where}{safe(each.message)}")
        if each.witness:
            click.echo(f"          {_told(each.witness)}")

    if not flaws:
        click.echo("nothing found")

    return 1 if any(each.grave for each in flaws) else 0


def _told(witness: dict[str, Any]) -> str:
    from json import dumps

    from journeyman.policies.samples import WORDS

    notes = [WORDS[witness.get("said_by", "")]] + (["a model elsewhere"] if witness.get("remote") else [])
    call = f"{witness['tool']} {dumps(witness['arguments'], ensure_ascii=False)}"
    return safe(f"{call} ({', '.join(notes)})", None)


@click.command(epilog=DIFF)
@click.argument("old", type=CHOICE)
@click.argument("new", type=CHOICE)
@json_option()
def diff(old: str, new: str, json: bool) -> int:
    """Say where two policies decide otherwise, each time with a call that shows it.

    What they say is compared, not how it is written: the order of rules, names and comments make no difference.
    """
    from journeyman.policies.compare import changes

    found, cut = changes(alone(old), alone(new))
    if json:
        rows = [{"loosens": each.loosens, **each.model_dump(mode="json")} for each in found]
        print_json({"same": not found, "changes": rows, "untried": list(cut)})
        return 1 if found else 0

    for each in found:
        _show_change(each)

    if cut:
        click.echo(f"note: not every combination was tried for {', '.join(cut)}", err=True)

    if not found:
        click.echo("they mean the same")

    return 1 if found else 0


def _show_change(each: "Change") -> None:
    click.secho("looser  " if each.loosens else "stricter", fg="red" if each.loosens else "green", nl=False)
    click.echo(f" {each.before} -> {each.after}  {_told(each.witness)}")
    more = f", and {len(each.tools) - 1} more tools" if len(each.tools) > 1 else ""
    was, now = ", ".join(each.rules_before) or "the default", ", ".join(each.rules_after) or "the default"
    click.echo(f"         {safe(f'by {now}; was {was}{more}', None)}")


@click.command(epilog=REPLAY)
@click.argument("filter", nargs=-1)
@named
@click.option("-n", "--limit", type=click.IntRange(0), default=50, show_default=True, help="How many runs; 0 for all.")
@json_option()
def replay(filter: tuple[str, ...], setting: str | None, limit: int, json: bool) -> int:  # noqa: A002 - its name there
    """Decide the calls of stored runs again, and list who would be asked and what would be stopped. Nothing is run."""
    from journeyman.policies.again import redecide
    from journeyman.traces.find import find

    under, _ = assembled(setting)
    with opened() as store:
        runs = find(store, " ".join(filter), limit or None)
        tally = redecide(under, ((each.run_id, [at.event for at in store.events(each.run_id)]) for each in runs))

    kinds = {kind: [each for each in tally.changed if each.kind == kind] for kind in ("prompt", "block", "looser")}
    counts = {f"{kind}s" if kind != "looser" else kind: len(found) for kind, found in kinds.items()}
    if json:
        rows = [{"kind": each.kind, **each.model_dump(mode="json")} for each in tally.changed]
        print_json({**tally.model_dump(mode="json"), **counts, "changed": rows})
    else:
        for each in (each for found in kinds.values() for each in found):
            click.secho(f"{each.kind:<7}", fg=COLORS[each.after], nl=False)
            said = f"{each.tool} {each.arguments} ({each.before} -> {each.after}): {each.reason}"
            click.echo(f"{each.run_id}  {safe(said, 400)}")

        told = f"{counts['prompts']} new prompts, {counts['blocks']} new blocks, {counts['looser']} looser"
        click.echo(f"{tally.runs} runs, {tally.decisions} decisions under {under.name}: {told}")

    return 1 if counts["prompts"] or counts["blocks"] else 0
