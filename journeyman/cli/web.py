"""`journeyman web`: the terminal UI in a browser."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from journeyman.errors import ConfigError, install

HELP = """Show the terminal UI in a browser on this machine.

The address that is printed holds a secret: whoever has it can talk to the agent
and answer its questions. It is reached from this machine only.

\b
Examples:
  journeyman web
  journeyman web --root ~/notes --resume last
  ssh -L 8123:127.0.0.1:8123 there journeyman web --port 8123
"""


@click.command(help=HELP)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port.  [default: a free one]")
@click.option("-m", "--model", help="local:starter, local:PATH.gguf, http://HOST:PORT/v1#NAME ...")
@click.option("--root", type=click.Path(path_type=Path), help="The folder the tools work in.  [default: here]")
@click.option("--policy", help="readonly, ask, auto, headless, yolo, or a policy file.  [default: ask]")
@click.option("--resume", metavar="SESSION", help="Go on with a session: its id, a part of it, or `last`.")
@click.option("--open", "opening", is_flag=True, help="Open the browser.")
def web(port: int, opening: bool, **options: Any) -> int:
    import anyio

    from journeyman.cli.chat import absolute, demand

    demand(
        (options["root"] or Path()).expanduser().absolute(),
        options["model"] and absolute(options["model"]),
        options["policy"],
    )
    words = [part for name, value in options.items() if value is not None for part in (f"--{name}", str(value))]
    command = f"exec {shlex.join([sys.executable, '-m', 'journeyman', 'chat', *words])}"  # no shell in between
    try:
        anyio.run(_serve, command, port, opening)
    except KeyboardInterrupt:
        return 130

    return 0


async def _serve(command: str, port: int, opening: bool) -> None:
    import anyio

    try:
        import textual  # noqa: F401 - what is served needs it

        from journeyman.engine.web import Browser
    except ImportError as error:
        raise ConfigError(f"The browser's parts are missing: {error}.", fix=install("journeyman[browser]")) from error

    try:
        browser = Browser(command, port)
    except OSError as error:
        raise ConfigError(f"Port {port} cannot be used: {error.strerror}.", fix="Leave out --port.") from error

    runner = await browser.start()
    click.echo(f"Open {browser.address}\nCtrl+C ends it; what runs goes on.", err=True)
    if opening:
        import webbrowser

        await anyio.to_thread.run_sync(webbrowser.open, browser.address)

    try:
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(5):
            await runner.cleanup()
