"""`journeyman mcp`: our tool servers for any client, and the user's own servers for our agent."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journeyman.cli.group import Group
from journeyman.cli.mcp_pins import differ, pin
from journeyman.cli.mcp_try import login, logout, sandbox_options, tell_sandbox, test
from journeyman.cli.output import json_option, print_json
from journeyman.cli.register import doctor, import_, register, unregister
from journeyman.errors import UsageError
from journeyman.mcp_servers.registry import SERVERS, WEB
from journeyman.safe import safe

if TYPE_CHECKING:
    from journeyman.tools.mcp_json import Entry

PORT = 8765
URL = ("http://", "https://")

SERVE = f"""\b
Try:
  journeyman mcp serve calculator
  journeyman mcp serve files --root ~/notes
  journeyman mcp serve search --root docs --http {PORT}

\b
The servers:
{chr(10).join(f"  {name:<10}  {summary}" for name, summary in SERVERS.items())}
  {WEB:<10}  Read web pages as text, and search the web where the setting `web` says by whom"""

LIST = """\b
Try:
  journeyman mcp list
  journeyman mcp list --json"""

ADD = """\b
Try:
  journeyman mcp add time -- uvx mcp-server-time --local-timezone Europe/Paris
  journeyman mcp add notes --write ~/notes -- npx -y some-notes-server ~/notes
  journeyman mcp add -e 'TOKEN=${WIKI_TOKEN}' wiki -- npx -y wiki-mcp
  journeyman mcp add --header 'Authorization: Bearer ${WIKI_TOKEN}' wiki https://wiki.example/mcp

\b
A ${NAME} is filled in from the environment when the server starts, so the
file holds no secret."""

REMOVE = """\b
Try:
  journeyman mcp remove time
  journeyman mcp remove --project time"""

TRUST = """\b
Try:
  journeyman mcp trust
  journeyman mcp trust --yes"""


def where_option(help_text: str) -> Any:
    """The option that tells the two files apart: True for the project's, None where it was not given."""
    return click.option("--project/--user", "project", default=None, help=help_text)


@click.group(cls=Group)
def mcp() -> None:
    """Tool servers: serve ours to any MCP client, manage yours for the agent."""


for command in (test, login, logout, register, unregister, import_, doctor, differ, pin):
    mcp.add_command(command)


@mcp.command(epilog=SERVE)
@click.argument("name", type=click.Choice([*SERVERS, WEB]))
@click.option("--root", default=".", show_default=True, help="The only folder the server may use.")
@click.option(
    "--http",
    "port",
    type=click.IntRange(0, 65535),
    is_flag=False,
    flag_value=PORT,
    metavar="[PORT]",
    help=f"Listen on 127.0.0.1 instead of stdin; PORT is {PORT} unless given, 0 takes a free one.",
)
def serve(name: str, root: str, port: int | None) -> None:
    """Serve one of our tool servers.

    To any MCP client: on stdin and stdout, or over HTTP on this machine, to whoever sends the token that is shown (or
    the one in JOURNEYMAN_MCP_TOKEN).
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # else each package here is asked for one
    import anyio

    from journeyman.mcp_servers.serve import serve as run

    if port is None and sys.stdin.isatty():
        click.echo(f"{name} waits for an MCP client on stdin; Ctrl-C ends it.", err=True)

    anyio.run(_serving(run, name, Path(root).expanduser(), port))


def _serving(run: Any, name: str, root: Path, port: int | None) -> Any:
    async def serving() -> None:
        provider = _provider() if name == WEB else "fetch"
        if port is None:
            await run(name, root, provider=provider)
            return

        from journeyman.cli.serve import http_token

        token, ready = http_token(name)
        await run(name, root, ("127.0.0.1", port), token=token, ready=ready, provider=provider)

    return serving


def _provider() -> str:
    from journeyman.config import load_settings

    return load_settings().web or "fetch"


@mcp.command("list", epilog=LIST)
@json_option()
def list_servers(json: bool) -> None:
    """List the servers the agent can use.

    Ours, yours, and this project's; its own start only when you have trusted its .mcp.json.
    """
    rows = _rows()
    if json:
        print_json(rows)
        return

    rows = [{key: safe(value) for key, value in row.items()} for row in rows]
    widths = {key: max(len(row[key]) for row in rows) for key in ("name", "from", "state")}
    for row in rows:
        told = "  ".join(f"{row[key]:<{width}}" for key, width in widths.items())
        click.echo(f"{told}  {row['reaches']}".rstrip())

    if any(row["state"] == "not trusted" for row in rows):
        click.echo("To let this project's servers start: journeyman mcp trust", err=True)


def _rows() -> list[dict[str, str]]:
    from journeyman.config import load_settings
    from journeyman.home import is_trusted
    from journeyman.tools.mcp_json import entries, load, project_file, read, standing, user_file
    from journeyman.tools.pins import Pins

    pins = Pins.of_user()
    rows = [_row(name, "journeyman", "built in", summary) for name, summary in SERVERS.items()]
    users, project = load(user_file()), project_file(load_settings().root)
    for name, entry in users.items():
        state = "disabled" if entry.disabled else standing(name, entry, user_file(), pins)
        rows.append(_row(name, "user", state, str(entry)))

    data = read(project)
    for name, entry in entries(data, project).items():
        state = standing(name, entry, project, pins) if is_trusted(project, data) else "not trusted"
        if entry.disabled or name in users:
            state = "disabled" if entry.disabled else "hidden by yours"

        rows.append(_row(name, "project", state, str(entry)))

    return rows


def _row(name: str, origin: str, state: str, reaches: str) -> dict[str, str]:
    return {"name": name, "from": origin, "state": state, "reaches": reaches}


@mcp.command(epilog=ADD)
@click.argument("name")
@click.argument("target", nargs=-1, required=True, metavar="(-- COMMAND [ARGS]... | URL)")
@click.option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="A variable for the command; repeatable.")
@click.option("--header", multiple=True, metavar="NAME: VALUE", help="A header for the URL; repeatable.")
@sandbox_options
@where_option("Into ./.mcp.json, or into your own file (the default).")
def add(
    name: str, target: tuple[str, ...], *, env: tuple[str, ...], header: tuple[str, ...], sandbox: Any, project: bool
) -> None:
    """Add an MCP server of yours.

    A command that speaks MCP on stdin and stdout, or a URL. A command runs in the sandbox, where it sees its own files,
    what it names, and what you let it see. Calls of its tools are asked about unless your policy allows them.
    """
    from journeyman.tools import mcp_json

    path, entry = _file(project=project), _entry(target, env, header, sandbox)
    ours = mcp_json.add(path, name, entry)
    click.echo(f"added {name} to {path}: {entry}")
    tell_sandbox(name, entry, path)
    for key, value in {**entry.env, **entry.headers}.items():
        if "${" not in value:
            click.echo(f"{key} stands there in clear; to take it from the environment: '{key}=${{NAME}}'", err=True)

    if not ours:
        click.echo("The file held servers already that you have not trusted: journeyman mcp trust", err=True)


def _entry(target: tuple[str, ...], env: tuple[str, ...], header: tuple[str, ...], sandbox: Any) -> "Entry":
    from journeyman.tools.mcp_json import Entry

    if not target[0].startswith(URL):
        if "://" in target[0]:
            raise UsageError(f"a server is not reached by {target[0].split(':')[0]}", fix="give an http(s) URL")

        if header or not target[0]:
            raise UsageError("--header goes with a URL, a command is not empty", fix="journeyman mcp add --help")

        entry = {"command": target[0], "args": list(target[1:]), "env": _pairs(env, "=", "-e"), "sandbox": sandbox}
    elif len(target) > 1 or env or sandbox:
        raise UsageError(
            "a URL takes no arguments, no -e and no sandbox", fix='send secrets with --header "NAME: VALUE"'
        )
    else:
        entry = {"url": target[0], "headers": _pairs(header, ":", "--header")}

    return Entry.model_validate({key: value for key, value in entry.items() if value})


def _pairs(given: tuple[str, ...], between: str, option: str) -> dict[str, str]:
    pairs = {}
    for each in given:
        name, found, value = each.partition(between)
        if not found or not name.strip():
            raise UsageError(f"{option} {each!r} is no pair", fix=f"write {option} 'NAME{between} VALUE'")

        pairs[name.strip()] = value.strip() if between == ":" else value

    return pairs


@mcp.command(epilog=REMOVE)
@click.argument("name")
@where_option("From ./.mcp.json, or from your own file; without either: from the one that has it.")
def remove(name: str, project: bool | None) -> None:
    """Remove an MCP server of yours."""
    from journeyman.tools import mcp_json

    if project is None:
        project = _in_project(name)

    path = _file(project=project)
    mcp_json.remove(path, name)
    click.echo(f"removed {name} from {path}")


def _in_project(name: str) -> bool:
    from journeyman.tools.mcp_json import load

    users, projects = (name in load(_file(project=project)) for project in (False, True))
    if users and projects:
        raise UsageError(f"{name!r} is in both files", fix=f"say which: journeyman mcp remove --project|--user {name}")

    return projects


def _file(*, project: bool) -> Path:
    from journeyman.config import load_settings
    from journeyman.tools.mcp_json import project_file, user_file

    return project_file(load_settings().root) if project else user_file()


@mcp.command(epilog=TRUST)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def trust(yes: bool) -> None:
    """Trust this project's .mcp.json.

    Its servers may then start, as the file is now; any change to it ends that. A project can be a clone of somebody
    else's, and starting its servers is running its programs: read it first.
    """
    from journeyman.cli.trust import trust_files
    from journeyman.tools.mcp_json import entries

    path = _file(project=True)
    trust_files([path] if path.exists() else [], yes=yes, names=".mcp.json", check=entries)
