"""`journeyman serve`: the engine that front ends talk to, in the foreground."""

from pathlib import Path

import click

HELP = """Be the engine that user interfaces and editors talk to (ACP).

\b
Examples:
  journeyman serve --acp      for one editor, on standard input and output
  journeyman serve            for this user's front ends, on a private socket

`journeyman`, `journeyman chat` and `journeyman web` start one by themselves.
"""


@click.command(help=HELP)
@click.option("--acp", is_flag=True, help="Serve one client on standard input and output.")
@click.option("--socket", type=click.Path(path_type=Path), help="Listen there.  [default: this user's own]")
@click.option("--idle", type=click.FloatRange(0), default=600.0, show_default=True, help="Seconds to stay unused.")
@click.option("--stop", is_flag=True, help="End the engine that runs; its turns can be taken up again.")
def serve(acp: bool, socket: Path | None, idle: float, stop: bool) -> int:
    import anyio  # noqa: PLC0415 - after --help

    from journeyman.errors import ConfigError, UsageError  # noqa: PLC0415

    if acp and socket:
        raise UsageError("An engine is on a socket or on standard input.", fix="Leave out --acp or --socket.")

    if stop:
        anyio.run(_stop, socket)
        return 0

    try:
        from journeyman.engine.serve import on_socket, on_stdio  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(f"ACP is not installed: {error}.", fix="pip install 'journeyman[acp]'") from error

    from journeyman.engine.place import socket_path  # noqa: PLC0415

    if acp:
        anyio.run(on_stdio)
        return 0

    path = socket or socket_path()
    if not anyio.run(on_socket, path, idle):
        click.echo(f"An engine already listens at {path}.", err=True)

    return 0


async def _stop(socket: Path | None) -> None:
    from journeyman.engine.client import connect  # noqa: PLC0415 - after --help
    from journeyman.errors import Disconnected  # noqa: PLC0415

    async with connect(socket, start=False) as client:
        try:
            await client.stop()
        except Disconnected:
            return  # it went before it could say so
