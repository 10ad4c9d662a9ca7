"""`journeyman sandbox`: what isolates untrusted code here, and what it withstands."""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import click

from journeyman.cli.group import Group
from journeyman.cli.output import json_option, print_json
from journeyman.errors import UsageError
from journeyman.safe import safe

if TYPE_CHECKING:
    from journeyman.sandbox.attacks.attack import Attack, Verdict
    from journeyman.sandbox.sandbox import Probe, Provider

DOCTOR = """\b
Try:
  journeyman sandbox doctor
  journeyman sandbox doctor --min-isolation 3

\b
Exit codes: 0 there is a sandbox that is good enough, 8 there is none."""

ATTACK = """\b
Try:
  journeyman sandbox attack
  journeyman sandbox attack --backend docker --json

\b
Exit codes: 0 all contained, 1 something got out, 8 the sandbox does not open."""


@click.group(cls=Group)
def sandbox() -> None:
    """Say what isolates untrusted code here, and attack it."""


@sandbox.command(epilog=DOCTOR)
@click.option("--min-isolation", type=click.IntRange(0, 4), default=1, help="The level that must be there; 1.")
@json_option()
def doctor(min_isolation: int, json: bool) -> None:
    """Try every sandbox here and say what each was seen to hold.

    Levels: 1 a confined process or a safe subset of Python, 2 namespaces, 3 with resource control, 4 a kernel of its
    own. Nothing is claimed that was not tried a moment ago.
    """
    import anyio

    from journeyman.sandbox.proven import remember
    from journeyman.sandbox.select import choose, probe_all

    probes = anyio.run(probe_all)
    remember(probes)
    if not json:
        for probe in probes:
            _show(probe)

    choice, why = choose(probes, min_isolation)
    if json:
        rows = [probe.model_dump(mode="json") for probe in probes]
        print_json({"auto": choice.backend, "level": choice.level, "why": why, "backends": rows})
    else:
        click.echo(f"auto takes {choice.backend}: {why}")


@sandbox.command(epilog=ATTACK)
@click.option("--backend", metavar="NAME", help="The one to attack; else each that is here, with --json auto's.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this attack; may be repeated.")
@json_option()
@click.pass_context
def attack(ctx: click.Context, backend: str | None, only: tuple[str, ...], json: bool) -> None:
    """Attack a sandbox and print what it contained.

    Three kinds of attacks: on the operating system around it, on the caller and what it reads, and on the verdict of a
    program that is graded. Whether one got out is witnessed outside. Takes a minute for each sandbox.
    """
    import anyio

    verdicts = anyio.run(_attacks, backend, only, json)
    if json:
        print_json({"attacks": [verdict.model_dump(mode="json") for verdict in verdicts]})

    ctx.exit(0 if all(verdict.contained for verdict in verdicts) else 1)


async def _attacks(backend: str | None, only: Sequence[str], json: bool) -> "list[Verdict]":
    from journeyman.sandbox.attacks.attack import assault, counted

    attacks, verdicts = suite(only), []
    for provider in await _providers(backend, one=json):
        found = await assault(provider, attacks, _silent if json else _tell)
        verdicts += found
        if not json:
            click.echo(f"{provider.name}: {counted(found)}\n")

    return verdicts


def suite(only: Sequence[str] = ()) -> "list[Attack]":
    """The attacks, or those of these names. Raises UsageError where there is none."""
    from journeyman.sandbox.attacks.attack import SUITE

    for module in (
        "sandbox.attacks.system",
        "sandbox.attacks.resources",
        "sandbox.attacks.host",
        "sandbox.attacks.channel",
        "verifiers.forging",
    ):
        import_module(f"journeyman.{module}")  # they enter the suite

    if unknown := set(only) - {each.name for each in SUITE}:
        names = ", ".join(each.name for each in SUITE)
        raise UsageError(f"There is no attack {', '.join(sorted(unknown))}.", fix=f"There are: {names}")

    return [each for each in SUITE if not only or each.name in only]


async def _providers(backend: str | None, *, one: bool) -> "list[Provider]":
    from journeyman.sandbox.sandbox import Spec
    from journeyman.sandbox.select import BACKENDS, candidates, choose, probe_all

    if backend:
        return list(candidates(Spec(backend=backend)))

    probes = await probe_all()
    here = {choose(probes)[0].backend} if one else {probe.backend for probe in probes if probe.available}
    return [provider for provider in BACKENDS if provider.name in here]


def _silent(_: "Verdict") -> None:
    """What JSON says is said at the end."""


def _tell(verdict: "Verdict") -> None:
    word, color = ("OUT ", "red") if not verdict.contained else ("held", "green") if verdict.begun else ("-   ", None)
    click.secho(word, fg=color, nl=False)
    click.echo(f"  {verdict.name:<20} {verdict.detail}")


def _show(probe: "Probe") -> None:
    mark = f"level {probe.level}" if probe.available else "missing"
    click.secho(f"{probe.backend}: {mark}", bold=True, nl=False)
    click.echo(f"  {safe(probe.reason)}")
    for promise, held in probe.guarantees.items():
        click.secho(f"  {'held' if held else 'BROKEN'}", fg="green" if held else "red", nl=False)
        click.echo(f"  {promise}")

    if probe.fix:
        click.echo(f"  {safe(probe.fix)}")

    click.echo()
