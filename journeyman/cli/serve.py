"""`journeyman serve`: the engine that front ends talk to, in the foreground."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

import click

from journeyman.errors import ConfigError, UsageError, install

HELP = """Be the engine that user interfaces and editors talk to (ACP), or a tool of other agents (MCP).

\b
Examples:
  journeyman serve --acp      for one editor, on standard input and output
  journeyman serve --mcp      for another agent's client, which then can give it tasks
  journeyman serve --mcp --http 8765    the same for clients that show its token
  journeyman serve            for this user's front ends, on a private socket

`journeyman`, `journeyman chat` and `journeyman web` start one by themselves.

Over HTTP every request needs the header `Authorization: Bearer TOKEN`. The token is shown at the start, a new one each
time, unless JOURNEYMAN_MCP_TOKEN holds one. Whoever has it can give tasks, approve what they do, and read all traces.
"""
TOKEN = "JOURNEYMAN_MCP_TOKEN"  # noqa: S105 - the variable's name
SHORTEST = 16
"""Characters of a token that nobody guesses."""


@click.command(help=HELP)
@click.option("--acp", is_flag=True, help="Serve one client on standard input and output.")
@click.option("--mcp", is_flag=True, help="Be an MCP server on standard input and output: run_agent, and the traces.")
@click.option("--http", type=click.IntRange(0, 65535), metavar="PORT", help="With --mcp: on 127.0.0.1, with a token.")
@click.option("--socket", type=click.Path(path_type=Path), help="Listen there.  [default: this user's own]")
@click.option("--idle", type=click.FloatRange(0), default=600.0, show_default=True, help="Seconds to stay unused.")
@click.option("--stop", is_flag=True, help="End the engine that runs; its turns can be taken up again.")
def serve(*, acp: bool, mcp: bool, http: int | None, socket: Path | None, idle: float, stop: bool) -> int:
    import anyio

    if acp + mcp + bool(socket) > 1:
        raise UsageError("It is one of these: --acp, --mcp or a --socket.", fix="Leave out the others.")

    if http is not None and not mcp:
        raise UsageError("--http goes with --mcp.", fix="journeyman serve --mcp --http 8765")

    if stop:
        anyio.run(_stop, socket)
        return 0

    if mcp:
        anyio.run(_mcp, http)
        return 0

    try:
        from journeyman.engine.serve import on_socket, on_stdio
    except ImportError as error:
        raise ConfigError(f"ACP is not installed: {error}.", fix=install("journeyman[acp]")) from error

    from journeyman.engine.place import socket_path

    if acp:
        anyio.run(on_stdio)
        return 0

    path = socket or socket_path()
    click.echo(f"Listening at {path}. Ctrl+C ends it; turns under way can be taken up again.", err=True)
    if not anyio.run(on_socket, path, idle):
        click.echo(f"An engine already listens at {path}.", err=True)

    return 0


async def _stop(socket: Path | None) -> None:
    from journeyman.engine.client import connect

    async with connect(socket, start=False) as client:
        await client.stop()


async def _mcp(port: int | None) -> None:
    from journeyman.agent.order import Order
    from journeyman.agent.outfit import Rules, limits, outfit, working_folder
    from journeyman.agent.served import Served
    from journeyman.config import load_settings
    from journeyman.home import state_dir
    from journeyman.mcp_servers.serve import offer

    http = None if port is None else http_token("journeyman")
    settings, notices = load_settings(), []
    runtime = await outfit(settings, Rules(), notices)
    for notice in notices:
        click.echo(notice, err=True)

    order = Order(prompt="", limits=limits(settings), root=str(working_folder(settings)))
    served = Served(runtime, order, state_dir() / "stopped-tasks")
    if http is None or port is None:
        await offer(served.server)
    else:
        await offer(served.server, ("127.0.0.1", port), token=http[0], ready=http[1])


def http_token(name: str) -> tuple[str, Callable[[str], None]]:
    """The token of a server, and who tells of it once its URL is known.

    The user's own is taken out of the environment, which what the server starts may inherit; without one it is made.

    Raises:
        ConfigError: the user's own can be guessed.
    """
    own = os.environ.pop(TOKEN, "").strip()
    if own and (len(own) < SHORTEST or not own.isascii() or not own.isprintable()):
        raise ConfigError(
            f"{TOKEN} is no safe token: it needs {SHORTEST} characters or more, of plain ASCII",
            fix="leave it out, and one is made; or python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )

    token = own or secrets.token_urlsafe(32)

    def ready(url: str) -> None:
        click.echo(f"{name} listens on {url}", err=True)
        click.echo(f"Clients send: Authorization: Bearer {'$' + TOKEN if own else token}", err=True)

    return token, ready
