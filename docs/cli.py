"""Writes docs/cli.md: what every command says of itself. `uv run just docs`; a test notices when the page is old."""
# ruff: noqa: INP001 - a script

from collections.abc import Iterator
from pathlib import Path

import click

from journeyman.cli.app import app

PAGE = Path(__file__).with_name("cli.md")
INTRO = """\
# The command line

Results are printed on stdout, everything else on stderr. Every command that prints a result takes `--json`; its errors
are then `{"error": {"kind", "message", "fix", "run_id"}}` on stdout. Written by `uv run just docs`; do not edit.

| exit code | meaning |
|---|---|
| 0 | answered |
| 1 | failed |
| 2 | the command line makes no sense |
| 3 | a setting, a policy file or the trace store will not do |
| 4 | no model, or it failed |
| 5 | a call was denied, even if an answer came all the same |
| 6 | the budget is spent |
| 7 | a tool or an MCP server failed |
| 8 | no sandbox that is good enough |
| 124 | stopped by `--timeout` |
| 130 | interrupted |
"""


def page() -> str:
    return INTRO + "".join(f"\n## `{path}`\n\n```text\n{text}\n```\n" for path, text in _helps(app, "journeyman", None))


def _helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    settings = {**command.context_settings, "terminal_width": 80}
    with click.Context(command, info_name=name, parent=parent, **settings) as context:
        yield context.command_path, command.get_help(context).rstrip()
        if isinstance(command, click.Group):
            for each in command.list_commands(context):
                if inner := command.get_command(context, each):
                    yield from _helps(inner, each, context)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
