"""`journeyman acp`: the agent in editors that speak the Agent Client Protocol."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journeyman.cli.group import Group
from journeyman.cli.register import carry_out, dry_option

if TYPE_CHECKING:
    from journeyman.tools.register.clients import Client

EDITORS = ("jetbrains", "zed")
NAME = "journeyman"

EPILOG = """\b
Try:
  journeyman acp register --client zed
  journeyman acp register --client jetbrains --dry-run
  journeyman acp unregister --client zed

\b
Any other editor that speaks ACP starts: journeyman serve --acp"""


@click.group(cls=Group, epilog=EPILOG)
def acp() -> None:
    """Have editors talk to the agent, over the Agent Client Protocol (ACP)."""


def client_option() -> Any:
    return click.option("--client", "name", type=click.Choice(EDITORS), required=True, help="The editor.")


@acp.command(epilog=EPILOG)
@client_option()
@dry_option()
def register(name: str, dry_run: bool) -> None:
    """Write the agent into an editor's settings; everything else there stays as it is, and a copy is kept."""
    from journeyman.tools.mcp_json import Entry
    from journeyman.tools.register.register import planned

    entry = Entry(command=sys.executable, args=["-m", "journeyman", "serve", "--acp"])
    client, path = _editor(name)
    carry_out(planned(client, path, {NAME: entry}), client, dry_run=dry_run)


@acp.command(
    epilog="""\b
Try:
  journeyman acp unregister --client zed"""
)
@client_option()
@dry_option()
def unregister(name: str, dry_run: bool) -> None:
    """Take the agent out of an editor's settings."""
    from journeyman.tools.register.register import planned

    client, path = _editor(name)
    carry_out(planned(client, path, {NAME: None}), client, dry_run=dry_run)


def _editor(name: str) -> "tuple[Client, Path]":
    """Where an editor keeps its agents.

    Sources: zed.dev/docs/ai/external-agents, jetbrains.com/help/ai-assistant/acp.
    """
    from journeyman.tools.register.clients import PLAIN, Client, Shape

    zed = Shape(
        lambda _, entry: {"type": "custom", "command": entry.command, "args": entry.args, "env": {}}, PLAIN.read
    )
    jetbrains = Shape(lambda _, entry: {"command": entry.command, "args": entry.args, "env": {}}, PLAIN.read)
    clients = {
        "zed": Client("zed", "Zed", "~/.config/zed/settings.json", ("agent_servers",), zed),
        "jetbrains": Client("jetbrains", "JetBrains", "~/.jetbrains/acp.json", ("agent_servers",), jetbrains),
    }
    return clients[name], clients[name].file() or Path()
