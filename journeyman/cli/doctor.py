"""`journeyman doctor`: what is missing here, and the command that mends it."""

import click

from journeyman.cli.output import json_option, print_json
from journeyman.safe import safe

EPILOG = """\b
Try:
  journeyman doctor
  journeyman doctor --json | python -m json.tool

\b
Exit codes: 0 a run can work here, 3 something that it needs is missing."""
UNFIT = 3


@click.command(epilog=EPILOG)
@json_option()
@click.pass_context
def doctor(ctx: click.Context, json: bool) -> None:
    """Say what is missing here, and the command that mends it.

    Looks at the model's file, the engine, the trace store, the sandbox, your settings, policy and tool servers. Nothing
    is created or downloaded, and no other machine is asked.
    """
    from journeyman.cli.checks import Check, checkup

    checks: list[Check] = []
    for check in checkup():
        checks.append(check)
        if not json:
            _show(check.name, check.detail, check.fix, mark="ok" if check.ok else "missing")

    fit = all(check.ok for check in checks if check.required)
    if json:
        print_json({"ok": fit, "checks": [check.model_dump(mode="json") for check in checks]})
    elif fit:
        click.echo('Ready. Try: journeyman run "What is 37 * 43 - 12?"')
    else:
        click.echo("A run cannot work here yet; what mends it stands below each missing line.")

    ctx.exit(0 if fit else UNFIT)


def _show(name: str, detail: str, fix: str, *, mark: str) -> None:
    click.secho(f"{mark:<7}", fg="green" if mark == "ok" else "red", nl=False)
    click.echo(f"  {name:<8}  {safe(detail)}")
    for line in fix.splitlines():
        click.echo(f"{'':<19}{safe(line)}")
