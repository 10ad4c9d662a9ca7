"""`journeyman chat`: a conversation, in the terminal UI or in plain lines."""

import os
import stat
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from journeyman.cli.run import EFFORTS
from journeyman.errors import ConfigError, install

HELP = """Talk with the agent, as long as you like.

\b
Examples:
  journeyman chat                     the terminal UI
  journeyman chat --plain             the same in plain lines: no colours, no
                                      cursor, nothing redrawn
  journeyman chat --resume last       go on with the session used last here
  journeyman chat --plain < asked.txt

Plain lines are for screen readers, dumb terminals and logs. They are taken by
themselves where input or output is no terminal, or TERM is dumb. /help there
names what can be typed.
"""


@click.command(help=HELP)
@click.option("--plain", is_flag=True, help="One line for each thing that happens; questions are answered y or n.")
@click.option("-m", "--model", help="local:starter, local:PATH.gguf, http://HOST:PORT/v1#NAME ...")
@click.option("--root", type=click.Path(path_type=Path), help="The folder the tools work in.  [default: here]")
@click.option("--policy", help="readonly, ask, auto, headless, yolo, or a policy file.  [default: ask]")
@click.option("--resume", metavar="SESSION", help="Go on with a session: its id, a part of it, or `last`.")
@click.option("--think", metavar="HOW", help="off, auto, on, or the tokens it may take.  [default: auto]")
@click.option("--effort", type=click.Choice(EFFORTS), help="How much to think and do, for models that know.")
@click.option("--inline", is_flag=True, help="The terminal UI below what the terminal shows, which stays.")
def chat(plain: bool, **options: Any) -> int:
    return talk(plain=plain, **options)


def talk(
    *, plain: bool = False, root: Path | None = None, resume: str | None = None, inline: bool = False, **given: Any
) -> int:
    """A conversation in this terminal, to its end; its exit code."""
    cwd = (root or Path()).expanduser().absolute()
    settings = {name: value for name, value in given.items() if value is not None}
    if "model" in settings:
        settings["model"] = absolute(settings["model"])

    if "policy" in settings and Path(settings["policy"]).exists():
        settings["policy"] = str(Path(settings["policy"]).absolute())

    demand(cwd, settings.get("model"), settings.get("policy"))
    if plain or not on_screen():
        from journeyman.cli.plain import converse

        return converse(cwd, resume, settings)

    if "TEXTUAL_DRIVER" in os.environ:
        _end_with_parent()

    try:
        start = import_module("journeyman.tui.app").start
    except ImportError as error:
        told = f"{install('journeyman[tui]')}, or: journeyman chat --plain"
        raise ConfigError(f"The terminal UI is not installed: {error}.", fix=told) from error

    session = start(cwd, session=resume or "", settings=settings, inline=inline)
    if session:
        click.echo(f"resume with: journeyman chat --resume {session}")

    return 0


def demand(root: Path, model: str | None, policy: str | None) -> None:
    """See that they are there, before anything begins; keys are the engine's to look for.

    Raises:
        UsageError, ModelNotFound, BadModelFile, PolicyError: one is not.
    """
    from journeyman.errors import KeyRefused
    from journeyman.sandbox.paths import demand_folder

    demand_folder(root)
    if policy is not None:
        from journeyman.policies.policy import Policy

        Policy.assemble(policy, project=root)

    if model is None:
        return

    from journeyman.agent.models.spec import make_model

    with suppress(KeyRefused):
        files = getattr(make_model(model), "files", None)
        if files is not None:
            files.check()


def on_screen() -> bool:
    """Can a user interface be drawn here?"""
    if "TEXTUAL_DRIVER" in os.environ:  # a browser draws it
        return True

    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _end_with_parent() -> None:
    """What a browser shows ends with the server that shows it, however that ends (Linux)."""
    import ctypes
    import signal

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def someone_talks() -> bool:
    """Is there anything to read: a person, a pipe, a file?"""
    return sys.stdin.isatty() or not stat.S_ISCHR(os.fstat(sys.stdin.fileno()).st_mode)


def absolute(spec: str) -> str:
    """A model's spec that names its file from every folder: the engine works in another one."""
    kind, _, rest = spec.partition(":")
    if kind != "scripted" and not (kind == "local" and rest.endswith(".gguf")):
        return spec

    return f"{kind}:{'+'.join(str(Path(each).expanduser().absolute()) for each in rest.split('+'))}"
