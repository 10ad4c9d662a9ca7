"""Trusting a project's file: it is shown first, and only a person's word makes it count."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from journeyman.errors import UsageError
from journeyman.home import trust
from journeyman.safe import safe
from journeyman.tomlfile import as_text, read_once


def trust_files(
    files: Sequence[Path], *, yes: bool, names: str, check: Callable[[bytes, Path], object] = as_text
) -> None:
    """Show each file and trust what was shown if the person says so; `names` are the files looked for.

    Raises:
        UsageError: there is no such file, or nobody is there to ask.
        ConfigError: a file cannot be read or does not pass the check, or the answer cannot be kept.
    """
    if not files:
        raise UsageError(f"there is no {names} in {Path.cwd()}", fix="nothing has to be trusted here")

    if not yes and not sys.stdin.isatty():
        raise UsageError("nobody is there to ask", fix="read the file, then say --yes")

    for path in files:
        data = read_once(path)
        check(data, path)
        click.echo(f"{safe(str(path), None)}:\n{safe(as_text(data, path), None, lines=True)}", err=True)
        if yes or click.confirm(f"Trust {path} as it is?", err=True):
            trust(path, data)
            click.echo(f"trusted {path}")
