"""`journeyman mcp register`, `unregister`, `import` and `doctor`: our servers in other programs, theirs in ours."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journeyman.cli.mcp_try import tell_sandbox
from journeyman.cli.output import json_option, print_json
from journeyman.errors import ConfigError, ServerError, UsageError
from journeyman.mcp_servers.registry import SERVERS, WEB
from journeyman.safe import safe

if TYPE_CHECKING:
    from journeyman.tools.mcp_json import Entry
    from journeyman.tools.register.clients import Client
    from journeyman.tools.register.register import Plan

NAMES = (
    "claude-code", "claude-desktop", "codex", "cursor", "gemini", "goose", "jetbrains", "lm-studio", "opencode",
    "vscode", "windsurf", "zed",
)  # fmt: skip

REGISTER = """\b
Try:
  journeyman mcp register --client vscode
  journeyman mcp register --client claude-code files search --root ~/notes
  journeyman mcp register --client zed --dry-run
  journeyman mcp register --client cursor --project"""

UNREGISTER = """\b
Try:
  journeyman mcp unregister --client vscode
  journeyman mcp unregister --client vscode files"""

IMPORT = """\b
Try:
  journeyman mcp import
  journeyman mcp import --client cursor time wiki"""

DOCTOR = """\b
Try:
  journeyman mcp doctor
  journeyman mcp doctor --client codex --json

\b
Exit code 1 where a server of ours that is registered does not start."""


def client_option(**more: Any) -> Any:
    """The option that names another program."""
    return click.option("--client", "name", type=click.Choice(NAMES), help="The program.", **more)


def project_option() -> Any:
    return click.option("--project", is_flag=True, help="The project's file (of ./), not your own.")


def dry_option() -> Any:
    return click.option("--dry-run", is_flag=True, help="Show what would change; change nothing.")


@click.command(epilog=REGISTER)
@click.argument("servers", nargs=-1, type=click.Choice([*SERVERS, WEB]))
@client_option(required=True)
@click.option("--root", default=".", show_default=True, help="The only folder the servers may use.")
@project_option()
@dry_option()
def register(servers: tuple[str, ...], name: str, root: str, project: bool, dry_run: bool) -> None:
    """Have another program use our tool servers.

    All but the web one, unless named. Each is started once before it is written down; everything else in the program's
    settings stays as it is, comments too, and the file as it was is kept beside it.
    """
    from journeyman.sandbox.paths import demand_folder
    from journeyman.tools.register.register import entry_of, registering

    folder = Path(root).expanduser().absolute()
    demand_folder(folder)
    client, path = _client(name, project=project)
    plan = registering(client, path, servers or SERVERS, folder)
    if not dry_run and plan.before != plan.after:
        for server in servers or SERVERS:
            click.echo(f"{server}: {_tools(entry_of(server, folder))} tools", err=True)

    carry_out(plan, client, dry_run=dry_run)


@click.command(epilog=UNREGISTER)
@click.argument("servers", nargs=-1, type=click.Choice([*SERVERS, WEB]))
@client_option(required=True)
@project_option()
@dry_option()
def unregister(servers: tuple[str, ...], name: str, project: bool, dry_run: bool) -> None:
    """Take our tool servers out of another program."""
    from journeyman.tools.register.register import unregistering

    client, path = _client(name, project=project)
    carry_out(unregistering(client, path, servers), client, dry_run=dry_run)


@click.command("import", epilog=IMPORT)
@click.argument("servers", nargs=-1)
@client_option()
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def import_(servers: tuple[str, ...], name: str | None, yes: bool) -> None:
    """Take other programs' servers into your own file.

    Each is shown with its whole command, and asked about: to use it is to run that program.
    """
    from journeyman.tools import mcp_json

    path = mcp_json.user_file()
    mine = mcp_json.load(path)
    found = {each: found for each, found in _foreign(name).items() if not servers or each in servers}
    if missing := [each for each in servers if each not in found]:
        raise UsageError(f"no program has a server {missing[0]!r}", fix="journeyman mcp import")

    for each, (title, entry) in found.items():
        if each in mine:
            click.echo(f"{each}: yours has that name already")
        elif _wanted(each, title, entry, path, yes=yes):
            mcp_json.add(path, each, entry)
            click.echo(f"added {each} to {path}")

    if not found:
        click.echo("no other program has a server that could be taken")


def _wanted(name: str, title: str, entry: "Entry", path: Path, *, yes: bool) -> bool:
    import sys

    variables = f" (with {', '.join(map(safe, entry.env))})" if entry.env else ""
    click.echo(f"{safe(name)}, of {title}: {entry}{variables}")
    tell_sandbox(name, entry, path)
    if yes or not sys.stdin.isatty():
        return yes

    return click.confirm("Take it?", default=False)


def _foreign(name: str | None) -> "dict[str, tuple[str, Entry]]":
    """Other programs' servers, each with whose it is; of namesakes the first."""
    from journeyman.tools.register.clients import CLIENTS
    from journeyman.tools.register.register import OURS, known

    found: dict[str, tuple[str, Entry]] = {}
    for client in [CLIENTS[name]] if name else CLIENTS.values():
        path = client.file()
        if path is None or not path.exists():
            continue

        try:
            entries = known(client, path)
        except ConfigError as error:
            click.echo(f"{client.title} is left out: {error}", err=True)
            continue

        usable = {each: entry for each, entry in entries.items() if entry is not None and not each.startswith(OURS)}
        found = {each: (client.title, entry) for each, entry in usable.items()} | found

    return found


@click.command(epilog=DOCTOR)
@client_option()
@json_option()
def doctor(name: str | None, json: bool) -> int:
    """Show which programs have our servers, and start each as they would."""
    rows = [row for each in ([name] if name else NAMES) for row in _rows(each)]
    if json:
        print_json(rows)
    else:
        for row in rows:
            click.echo(f"{row['client']:<15}  {row['server'] or '-':<22}  {row['state']}")

    return 1 if any(not row["ok"] for row in rows) else 0


def _rows(name: str) -> list[dict[str, Any]]:
    from journeyman.tools.register.clients import CLIENTS
    from journeyman.tools.register.register import OURS, known

    client, rows = CLIENTS[name], []
    for path in filter(None, (client.file(), client.file(Path.cwd()))):
        try:
            entries = known(client, path) if path.exists() else {}
        except ConfigError as error:
            rows.append({"client": name, "server": "", "file": str(path), "ok": False, "state": str(error)})
            continue

        for each, entry in entries.items():
            if each.startswith(OURS):
                ok, state = _tried(entry)
                rows.append({"client": name, "server": each, "file": str(path), "ok": ok, "state": state})

    there = any(path.exists() for path in filter(None, (client.file(), client.file(Path.cwd()))))
    absent = {"client": name, "server": "", "file": str(client.file()), "ok": True}
    return rows or [{**absent, "state": "has none of our servers" if there else "no settings here"}]


def _tried(entry: "Entry | None") -> tuple[bool, str]:
    if entry is None:
        return False, "is written in a way that cannot be read"

    try:
        return True, f"{_tools(entry)} tools"
    except ServerError as error:
        return False, str(error)


def _tools(entry: "Entry") -> int:
    """How many tools the command offers, started as the other program would. Raises ServerError where it does not."""
    import anyio

    from journeyman.tools.target import Command
    from journeyman.tools.visit import definitions

    return len(anyio.run(definitions, Command("registered", (entry.command or "", *entry.args), entry.env)))


def _client(name: str, *, project: bool) -> "tuple[Client, Path]":
    from journeyman.tools.register.clients import CLIENTS

    client = CLIENTS[name]
    path = client.file(Path.cwd() if project else None)
    if path is None:
        raise UsageError(f"{client.title} has no file for a project", fix="leave --project away")

    return client, path


def carry_out(plan: "Plan", client: "Client", *, dry_run: bool) -> None:
    from journeyman.tools.register.register import apply

    if plan.before == plan.after:
        click.echo(f"{client.title}: nothing to change in {plan.path}")
        return

    click.echo(plan.diff)
    if dry_run:
        return

    kept = apply(plan)
    click.echo(f"{client.title}: wrote {plan.path}{f' (as it was: {kept})' if kept else ''}", err=True)
