"""What commands print: results on stdout, everything else on stderr, errors as what, why and what to do."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from journeyman.errors import JourneymanError, UsageError
from journeyman.safe import safe

F = TypeVar("F", bound=Callable[..., Any])

_wanted: set[str] = set()


def _want(_context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    if value and parameter.name:
        _wanted.add(parameter.name)

    return value


def json_option(name: str = "--json", help_text: str = "Print one JSON value instead of words.") -> Callable[[F], F]:
    """The option by which a command prints JSON, its errors included."""
    return click.option(name, is_flag=True, callback=_want, help=help_text)


def show_error(error: JourneymanError) -> None:
    """As JSON on stdout where the command was asked for JSON, as words on stderr where not."""
    if _wanted:
        print_json({"error": error.told})
        return

    click.secho("Error: ", fg="red", bold=True, err=True, nl=False)
    click.echo(safe(str(error), None, lines=True), err=True)
    if error.fix:
        click.echo(f"  {safe(error.fix, None, lines=True)}", err=True)


def show_click_error(error: click.ClickException, words: Sequence[str]) -> None:
    """A misuse of the command line, found before or after its `--json` was read."""
    if _wanted or not {"--json", "--stream-json"}.isdisjoint(words):
        context = getattr(error, "ctx", None)
        fix = f"{context.command_path} --help" if context else "journeyman --help"
        print_json({"error": UsageError(error.format_message(), fix=fix).told})
        return

    error.show()


def confirm(question: str) -> None:
    """Go on only if the person says yes.

    Raises:
        UsageError: nobody is there to ask.
        click.Abort: the answer was no.
    """
    if not sys.stdin.isatty():
        raise UsageError("Nobody is there to ask.", fix="Say --yes to do it without a question.")

    click.confirm(question, abort=True, err=True)


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))


def answer(value: Any, *lines: str, json: bool) -> None:
    """A command's result: one JSON value where that was asked for, else these lines."""
    if json:
        print_json(value)
    else:
        for line in lines:
            click.echo(line)
