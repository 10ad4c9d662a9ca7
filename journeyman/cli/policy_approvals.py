"""`journeyman policy approvals`: what was allowed for good, and taking it back."""

from typing import TYPE_CHECKING

import click

from journeyman.cli.output import answer, json_option
from journeyman.errors import UsageError

if TYPE_CHECKING:
    from journeyman.policies.approvals import Approval, Book

HELP = """\b
Try:
  journeyman policy approvals
  journeyman policy approvals --revoke 2
  journeyman policy approvals --revoke mail.send        every one for this tool
  journeyman policy approvals --revoke all"""


@click.command(epilog=HELP)
@click.option("--revoke", multiple=True, metavar="WHICH", help="Its number in the list, a tool, or `all`.")
@json_option()
def approvals(revoke: tuple[str, ...], json: bool) -> None:
    """List what you allowed for good when you were asked, and take it back."""
    from journeyman.home import state_dir
    from journeyman.policies.approvals import Book

    book = Book(state_dir() / "approvals.json")
    if gone := _named(book, revoke):
        book.take_back(gone)
        left = len(book.saved())
        click.echo(f"taken back: {len(gone)}; left: {left}", err=True)

    saved = book.saved()
    lines = (f"{number:>3}  {each}" for number, each in enumerate(saved, start=1))
    answer([each.model_dump(mode="json") for each in saved], *lines, json=json)
    if not (saved or json):
        click.echo("nothing is allowed for good", err=True)


def _named(book: "Book", which: tuple[str, ...]) -> "list[Approval]":
    saved = list(book.saved())
    gone: list[Approval] = []
    for name in which:
        found = [each for number, each in enumerate(saved, start=1) if name in {"all", str(number), each.tool}]
        if not found:
            raise UsageError(f"no approval is {name!r}", fix="journeyman policy approvals")

        gone += found

    return gone
