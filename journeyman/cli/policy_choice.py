"""Which policy a command of `journeyman policy` is about: a preset, a file, or the one in force."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from journeyman.policies.policy import Policy

COLORS = {"allow": "green", "ask": "yellow", "deny": "red"}


class Choice(click.ParamType[str]):
    """A policy: a preset or a file."""

    name = "POLICY"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        from journeyman.policies.load import PRESETS

        files = [CompletionItem(incomplete, type="file")]
        return [CompletionItem(name) for name in PRESETS if name.startswith(incomplete)] + files


class ToolChoice(click.ParamType[str]):
    """A tool: `server.tool`; those with labels of ours are offered."""

    name = "TOOL"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        from journeyman.policies.labels import shipped

        return [CompletionItem(name) for name in shipped() if name.startswith(incomplete) and "*" not in name]


CHOICE = Choice()
named = click.option("--policy", "setting", type=CHOICE, help="A preset or a file.  [default: the one in force]")


def assembled(setting: str | None) -> "tuple[Policy, Path]":
    """The policy in force here, or this one in its place, with the user's and the project's files; and the folder."""
    from journeyman.agent.outfit import policy_for
    from journeyman.config import load_settings

    settings = load_settings(policy=setting) if setting else load_settings()
    return policy_for(settings, settings.root), settings.root


def alone(setting: str) -> "Policy":
    """A preset or a file by itself: nothing of the user's or the project's stands on it."""
    from journeyman.policies.load import PRESETS
    from journeyman.policies.policy import Policy

    looks_like_a_file = "/" in setting or setting.endswith(".toml") or Path(setting).exists()
    return Policy.load(setting) if setting not in PRESETS and looks_like_a_file else Policy.preset(setting)
