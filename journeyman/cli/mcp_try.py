"""`journeyman mcp test | login | logout`: one server, tried or logged in to."""

import functools
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journeyman.cli.output import json_option, print_json
from journeyman.errors import ConfigError, UsageError
from journeyman.safe import safe

if TYPE_CHECKING:
    from journeyman.tools.mcp_json import Entry
    from journeyman.tools.target import Target, Url
    from journeyman.tools.verdict import Verdict

TEST = """\b
Try:
  journeyman mcp test time
  journeyman mcp test 'uvx mcp-server-time --local-timezone UTC' --host '*'
  journeyman mcp test https://wiki.example/mcp --json

\b
Exit code 7 where it cannot be used."""

LOGIN = """\b
Try:
  journeyman mcp login wiki
  journeyman mcp login wiki --client-id 4711 --client-secret"""

LOGOUT = """\b
Try:
  journeyman mcp logout wiki"""


def sandbox_options(function: Any) -> Any:
    """What a command may do in the sandbox, as one value: see `mcp_json.Sandbox`."""

    @functools.wraps(function)
    def gathered(
        *args: Any, read: tuple[str, ...], write: tuple[str, ...], host: tuple[str, ...], no_sandbox: bool, **more: Any
    ) -> Any:
        given = {"read": list(map(_whole, read)), "write": list(map(_whole, write)), "hosts": list(host)}
        said = {key: value for key, value in given.items() if value}
        if no_sandbox and said:
            raise UsageError("--no-sandbox lets it do all of that and more", fix="leave out the others, or it")

        return function(*args, sandbox="off" if no_sandbox else said, **more)

    for option, metavar, told in (
        ("--no-sandbox", None, "Run the command outside the sandbox: it may then do what you may."),
        ("--host", "HOST[:PORT]", "Let the command reach a host, or *.one; repeatable."),
        ("--write", "PATH", "Let the command read and change what is below; repeatable."),
        ("--read", "PATH", "Let the command read what is below; repeatable."),
    ):
        how: dict[str, Any] = {"multiple": True, "metavar": metavar} if metavar else {"is_flag": True}
        gathered = click.option(option, help=told, **how)(gathered)

    return gathered


def _whole(path: str) -> str:
    """Relative to the folder of now, not to the file's that will hold it."""
    return path if path.startswith(("~", "${")) else str(Path(path).absolute())


def tell_sandbox(name: str, entry: "Entry", path: Path) -> None:
    """What a command of such an entry may do."""
    from journeyman.tools.confined import told
    from journeyman.tools.mcp_json import target_of
    from journeyman.tools.target import Command

    with suppress(ConfigError):  # a variable may be set later
        if isinstance(target := target_of(name, entry, path), Command):
            click.echo(f"  {told(target)}")


@click.command(epilog=TEST)
@click.argument("server", metavar="NAME|'COMMAND ...'|URL")
@click.option("--patience", type=click.FloatRange(0.1, 600), default=2.5, show_default=True, help="Seconds to wait.")
@sandbox_options
@json_option()
def test(server: str, patience: float, sandbox: Any, json: bool) -> int:
    """Start a server and say whether it can be used.

    It is asked for its tools, which are compared with those that were pinned, and left. A command is run as it stands
    here, in the sandbox.
    """
    import anyio

    from journeyman.tools.mcp_json import confined
    from journeyman.tools.pins import Pins
    from journeyman.tools.target import Command
    from journeyman.tools.verdict import verdict

    target = _target(server)
    if sandbox and (target.name == server or not isinstance(target, Command)):
        raise UsageError("that goes with a command typed here", fix="what a server of yours may do stands in mcp.json")

    if sandbox and isinstance(target, Command):
        target = replace(target, sandbox=confined(sandbox, Path.cwd()))

    found = anyio.run(verdict, target, Pins.of_user(), patience)
    if target.name != server:  # typed here, so nothing in it need be hidden
        whole = found.fix.replace(f"by hand and look: {target}", f"by hand and look: {safe(server)}")
        found = found.model_copy(update={"fix": whole})

    if json:
        print_json(found.model_dump(mode="json"))
    else:
        _tell(found)

    return 0 if found.ok else 7


def _tell(found: "Verdict") -> None:
    if found.ok:
        count = f"{len(found.tools)} tool{'' if len(found.tools) == 1 else 's'}"
        click.echo(f"{found.name}: fine, {count} in {found.seconds:.1f} s, protocol {found.era}")
    else:
        click.echo(f"{found.name}: {found.problem}")
        click.echo(f"  {found.fix}")

    if found.where:
        click.echo(f"  {found.where}")

    for mark, lines in ((" ", found.tools), ("-", found.left_out), ("~", found.changed)):
        for line in lines:
            click.echo(f"  {mark} {line}")

    if found.said and found.said not in found.problem:
        click.echo(f"  it said on stderr: {found.said}")


def _target(text: str) -> "Target":
    """A server of ours or of the user's by its name; else what is to be started or reached.

    Raises:
        ConfigError, UsageError: it is neither.
    """
    from journeyman.config import load_settings
    from journeyman.mcp_servers.registry import SERVERS
    from journeyman.tools.mcp_json import servers
    from journeyman.tools.target import Builtin, target

    if text in SERVERS:
        return Builtin(text, Path.cwd())

    settings = load_settings()
    known = {each.name: each for each in servers(settings.root).targets}
    if text in known:
        return known[text]

    if " " not in text and "://" not in text and "/" not in text:
        fix = "journeyman mcp list; a command that is a single word: journeyman mcp test './command'"
        raise UsageError(f"there is no server {text!r} that may start", fix=fix)

    return target(text)


@click.command(epilog=LOGIN)
@click.argument("name")
@click.option(
    "--client-id",
    help="Who we are there, for servers that do not let us register; "
    "there, allow http://127.0.0.1/callback on any port.",
)
@click.option("--client-secret", is_flag=True, help="Ask for the secret that belongs to it.")
def login(name: str, client_id: str | None, client_secret: bool) -> None:
    """Log in to a remote server, in your browser.

    What it grants stays in the system's keyring, and runs use and renew it.
    """
    import anyio

    secret = click.prompt("Client secret", hide_input=True) if client_secret else None
    count = anyio.run(_login, _url(name), client_id, secret)
    click.echo(f"logged in to {name}: {count} tools")


async def _login(target: "Url", client_id: str | None, secret: str | None) -> int:
    from mcp.shared.auth import OAuthClientInformationFull
    from pydantic import AnyUrl

    from journeyman.tools.login import logging_in
    from journeyman.tools.pins import Pins
    from journeyman.tools.server import Patience
    from journeyman.tools.visit import visited

    client: Any = None
    if client_id is not None:
        how = "client_secret_basic" if secret else "none"
        client = OAuthClientInformationFull(
            client_id=client_id,
            client_secret=secret,
            redirect_uris=[AnyUrl("http://127.0.0.1/callback")],
            token_endpoint_auth_method=how,
        )

    async with (
        logging_in(target, _browse, client=client) as auth,
        visited(target, Patience(answer=330, start=330), auth=auth) as server,
    ):
        Pins.of_user().remember(target, {"login": True})
        return len(server.definitions)


async def _browse(url: str) -> None:
    from anyio import to_thread

    click.echo(f"Log in here, if no browser opens:\n  {url}", err=True)
    await to_thread.run_sync(click.launch, url)


@click.command(epilog=LOGOUT)
@click.argument("name")
def logout(name: str) -> None:
    """Forget what a remote server granted."""
    import anyio

    from journeyman.tools.login import Keys
    from journeyman.tools.pins import Pins

    target = _url(name)
    found = anyio.run(Keys(target.url).forget)
    Pins.of_user().remember(target, {"login": False})
    click.echo(f"logged out of {name}" if found else f"{name}: nobody was logged in")


def _url(name: str) -> "Url":
    from journeyman.tools.target import Url

    target = _target(name)
    if not isinstance(target, Url):
        raise UsageError(f"{name!r} is no remote server: there is nobody to log in to", fix="journeyman mcp list")

    return target
