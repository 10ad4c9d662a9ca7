"""`journeyman mcp diff | pin`: servers held against what they were when they were first used."""

import sys
from typing import Any

import click

from journeyman.errors import UsageError
from journeyman.safe import safe

DIFF = """\b
Try:
  journeyman mcp diff
  journeyman mcp diff time

\b
Exit code 1 where a server is not what it was."""

PIN = """\b
Try:
  journeyman mcp pin time
  journeyman mcp pin time --yes"""


@click.command("diff", epilog=DIFF)
@click.argument("names", nargs=-1)
def differ(names: tuple[str, ...]) -> int:
    """Show how servers' tools, resources and prompts differ from what was pinned.

    A server is pinned when it is first used. One whose tools have changed is not used until you accept it; of resources
    and prompts, only what is new or has changed.
    """
    changed = dict(_changed(names))
    for name, lines in changed.items():
        told = "not pinned yet: it was never used" if lines is None else "" if lines else "as pinned"
        click.echo(f"{name}: {told}".rstrip())
        for line in lines or ():
            click.echo(f"  {line}")

    return 1 if any(changed.values()) else 0


@click.command("pin", epilog=PIN)
@click.argument("names", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def pin(names: tuple[str, ...], yes: bool) -> None:
    """Accept servers' tools as they are now.

    What changed is shown first: a description is read by the model, and an argument can carry off what it is given.
    """
    for name, lines in _changed(names, accept=lambda lines: yes or _accepted(lines)):
        click.echo(f"{name}: {'as pinned' if lines == [] else 'pinned'}")


def _accepted(lines: list[str]) -> bool:
    for line in lines:
        click.echo(f"  {line}")

    if not sys.stdin.isatty():
        raise UsageError("nobody is there to accept the changes", fix="look at them, then: --yes")

    return click.confirm("Accept?", default=False)


def _changed(names: tuple[str, ...], accept: Any = None) -> Any:
    """Servers by name with what differs from their pins; what is accepted is pinned."""
    import anyio

    from journeyman.config import load_settings
    from journeyman.tools.mcp_json import servers
    from journeyman.tools.pins import Pins, besides, differences
    from journeyman.tools.visit import inventory

    found = {target.name: target for target in servers(load_settings().root).targets}
    for name in names or found:
        if name not in found:
            raise UsageError(f"there is no server {safe(name)!r} that may start", fix="journeyman mcp list")

        pins, target = Pins.of_user(), found[name]
        now, offers = anyio.run(inventory, target)
        pinned = pins.of(target)
        before = pins.remembered(target).get("offers", offers)
        lines = (
            [*differences(pinned, now), *differences(besides(before), besides(offers))] if pinned is not None else None
        )
        if accept and (pinned is None or (lines and accept(lines))):
            pins.pin(target, now, offers)

        yield name, lines
