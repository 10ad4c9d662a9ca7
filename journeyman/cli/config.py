"""`journeyman config`: the settings in force, and which of a project's files count."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from journeyman.cli.group import Group
from journeyman.cli.output import json_option, print_json
from journeyman.cli.policy_choice import alone
from journeyman.errors import JourneymanError
from journeyman.safe import safe

if TYPE_CHECKING:
    from journeyman.config import Settings

SHOW = """\b
Try:
  journeyman config show
  JOURNEYMAN_STEPS=5 journeyman config show
  JOURNEYMAN_SECRETS=env:DB_KEY,file:~/.keys journeyman config show
  journeyman config show --json | python -m json.tool"""

TRUST = """\b
Try:
  journeyman config trust
  journeyman config trust --yes journeyman.policy.toml"""


@click.group(cls=Group)
def config() -> None:
    """Show the settings and where each comes from; trust a project's files."""


@config.command(epilog=SHOW)
@json_option()
def show(json: bool) -> None:
    """Show every setting, its value and its origin.

    Strongest last: default, your config.toml, the project's journeyman.toml, JOURNEYMAN_* in the environment, options
    of a command.
    """
    from journeyman.config import load_settings

    settings = load_settings()
    if json:
        print_json(_as_json(settings))
        return

    rows = [(name, _worded(value), settings.origin(name)) for name, value in settings]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, origin in rows:
        click.echo(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {origin}")

    for notice in settings.notices:
        click.echo(f"Note: {notice}", err=True)

    try:
        alone(settings.policy)
    except JourneymanError as error:
        click.echo(f"Note: no run begins so: {error.line}", err=True)


def _as_json(settings: "Settings") -> dict[str, Any]:
    values = {name: _unsaid(value) for name, value in settings.model_dump(mode="json").items()}
    return {
        "settings": {name: {"value": value, "origin": settings.origin(name)} for name, value in values.items()},
        "notices": list(settings.notices),
        "files": {name: str(path) for name, path in _files().items()},
    }


def _worded(value: object) -> str:
    return "-" if value in {None, ()} else f"{value:g}" if isinstance(value, float) else safe(_text(_unsaid(value)))


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _unsaid(value: Any) -> Any:
    """A URL's password is nobody's business, nor is a secret's value."""
    if isinstance(value, list | tuple):
        return tuple(re.sub(r"(?s)^(value:).*", r"\1***", str(item)) for item in value)

    return re.sub(r"(://[^/@]*:)[^/@]*@", r"\1***@", value) if isinstance(value, str) else value


def _files() -> dict[str, Path]:
    from journeyman.config import PROJECT_FILE
    from journeyman.home import config_dir

    return {"user": config_dir() / "config.toml", "project": Path.cwd() / PROJECT_FILE}


@config.command(epilog=TRUST)
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def trust(files: tuple[Path, ...], yes: bool) -> None:
    """Trust a project's settings and policy.

    They then count in full, as they are now; any change to a file ends that. Until then they may only tighten. Without
    FILES: journeyman.toml and journeyman.policy.toml in this folder, those that are there.
    """
    from journeyman.cli.trust import trust_files
    from journeyman.config import PROJECT_FILE
    from journeyman.policies.load import PROJECT_FILE as POLICY_FILE

    here = [path for path in (Path(PROJECT_FILE), Path(POLICY_FILE)) if path.exists()]
    trust_files(files or here, yes=yes, names=f"{PROJECT_FILE} or {POLICY_FILE}")
