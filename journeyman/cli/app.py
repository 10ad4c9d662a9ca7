"""The `journeyman` command. Its help is a table, so that showing it imports no command."""

import errno
import importlib
import os
import sys
from gettext import gettext
from typing import NoReturn

import click

from journeyman.cli.group import Group
from journeyman.errors import JourneymanError

COMMANDS = {
    "run": ("run:run", "Answer one prompt: plan, call tools, print the answer."),
    "chat": ("chat:chat", "Talk with the agent, in the terminal UI or in plain lines."),
    "web": ("web:web", "Show the terminal UI in a browser on this machine."),
    "acp": ("acp:acp", "Have editors talk to the agent."),
    "serve": ("serve:serve", "Be the engine that user interfaces and editors talk to."),
    "traces": ("traces:traces", "List and read the runs that were recorded."),
    "mcp": ("mcp:mcp", "Tool servers: serve ours, manage yours."),
    "tasks": ("tasks:tasks", "Tasks to practise on, and whether they can be trusted."),
    "rollout": ("rollout:rollout", "Practise tasks: verified attempts, recorded token by token."),
    "compare": ("compare:compare", "Compare ways to spend thinking on the same tasks."),
    "train": ("train:train", "Train a local model on recorded runs."),
    "improve": ("improve:improve", "Practise, train and test in rounds; promote what is better."),
    "models": ("models:models", "Get models and see which can be had."),
    "sandbox": ("sandbox:sandbox", "Say what isolates untrusted code here, and attack it."),
    "policy": ("policy:policy", "Try the permission policy: explain, test, lint, compare it."),
    "config": ("config:config", "Show the settings and where each comes from."),
    "doctor": ("doctor:doctor", "Say what is missing here, and the command that mends it."),
    "completion": ("completion:completion", "Print the completion script for your shell."),
}

EPILOG = """\b
Try:
  journeyman run "What is 37 * 43 - 12?"
  journeyman run "How many lines does notes.txt have?"
  journeyman run --allow "code.*" "Run this Python: print(sum(range(101)))"

\b
Exit codes: 0 answered, 1 failed, 2 usage, 3 config, 4 model, 5 a rule denied
a call or nobody was there to ask, 6 budget, 7 tool, 8 sandbox, 124 timeout,
130 interrupted."""


class Lazy(Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None

        module, _, name = COMMANDS[cmd_name][0].partition(":")
        return getattr(importlib.import_module(f"journeyman.cli.{module}"), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section(gettext("Commands")):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in COMMANDS.items()])


def show_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"journeyman {version('journeyman')}")
        ctx.exit()


@click.group(
    cls=Lazy,
    invoke_without_command=True,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=show_version, help="Show the version."
)
@click.pass_context
def app(context: click.Context) -> int:
    """An agent for people who run their own models: plans, calls tools under your policy, records every token.

    Without a command it opens the terminal UI, or talks in plain lines where that cannot be drawn.
    """
    if context.invoked_subcommand is not None:
        return 0

    from journeyman.cli.chat import someone_talks, talk

    if someone_talks():
        return talk()

    click.echo(context.get_help())
    return 0


def main() -> NoReturn:
    """Run the command line; every error leaves by here, as words on stderr and an exit code."""
    _open_what_is_closed()
    try:
        code = app(prog_name="journeyman", standalone_mode=False)
        sys.stdout.flush()
    except JourneymanError as error:
        from journeyman.cli.output import show_error

        show_error(error)
        code = error.exit_code
    except click.ClickException as error:
        from journeyman.cli.output import show_click_error

        show_click_error(error, sys.argv[1:])
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        print("Interrupted.", file=sys.stderr)
        code = 130
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EPIPE}:
            raise

        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left unwritten would fail again
        code = 1
        if error.errno == errno.ENOSPC:  # else whoever read has seen enough
            print("Error: The disk that this writes to is full.\n  Make room there, and try again.", file=sys.stderr)

    sys.exit(code if isinstance(code, int) else 0)


def _open_what_is_closed() -> None:
    """A caller may have closed standard input or output (`<&-`): Python then has None in its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - for as long as we live
