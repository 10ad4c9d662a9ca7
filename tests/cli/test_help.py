from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from journeyman.cli.app import COMMANDS, app


def paths(group: click.Group = app, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        yield (*prefix, name)
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from paths(command, (*prefix, name))


def invoke(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, words, prog_name="journeyman", terminal_width=100)
    return done.exit_code, done.output


def command(path: tuple[str, ...]) -> click.Command:
    found: click.Command = app
    for name in path:
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), name) or pytest.fail(f"{path} is no command")

    return found


@pytest.mark.parametrize("path", list(paths()), ids=" ".join)
def test_help_is_given_by_both_options_and_says_what_each_option_means(path):
    code, text = invoke(*path, "--help")
    assert (code, text) == invoke(*path, "-h")
    assert code == 0
    assert text.startswith(f"Usage: journeyman {' '.join(path)} ")


@pytest.mark.parametrize("path", [path for path in paths() if path[0] != "traces"], ids=" ".join)
def test_the_help_of_a_command_shows_how_it_is_used(path):
    found = command(path)
    if not isinstance(found, click.Group):
        assert f"  journeyman {' '.join(path)}" in found.get_help(click.Context(found)).replace('eval "$(', "  ")


@pytest.mark.parametrize("group", [path for path in paths() if isinstance(command(path), click.Group)], ids=" ".join)
def test_a_misspelt_command_is_answered_with_the_right_ones(group, journeyman):
    done = journeyman(*group, "lsit")
    assert (done.code, done.out) == (2, "")
    assert "lsit" in done.err


def test_the_table_of_commands_leads_to_commands_of_those_names():
    for name in COMMANDS:
        assert command((name,)).name == name


def test_the_version_is_that_of_the_package(journeyman):
    from importlib.metadata import version  # noqa: PLC0415

    done = journeyman("--version")
    assert (done.code, done.out) == (0, f"journeyman {version('journeyman')}\n")
