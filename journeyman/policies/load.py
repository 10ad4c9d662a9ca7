"""Policy files: TOML, read strictly; every rule's examples are run before it may count.

extends = "ask"                  # the preset below it; only in a file that is named on the command line
default = "ask"                  # what becomes of a call that no rule matches
allow = ["calculator.*"]         # short for rules without conditions; `ask` and `deny` too
[[rule]]                         # rule.py tells what a rule may say
effect = "deny"
tool = "files.*"
where.path = { under = "secrets" }
[label."mail.send"]              # labels.py tells what is known of a tool
does = ["external"]
"""

from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import Field

from journeyman.errors import PolicyError
from journeyman.home import config_dir, is_trusted
from journeyman.policies.labels import Label
from journeyman.policies.rule import Rule, ToolName, ToolNames
from journeyman.tomlfile import as_text, line_of, parse, read_once
from journeyman.traces.events import Effect
from journeyman.traces.messages import Value

Tier = Literal["builtin", "preset", "system", "user", "project", "file", "session"]
TIERS: tuple[Tier, ...] = ("builtin", "preset", "system", "user", "project", "file", "session")
PROJECT_FILE = "journeyman.policy.toml"
SYSTEM_FILE = Path("/etc/journeyman/policy.toml")
PRESETS = ("readonly", "ask", "auto", "headless", "yolo")


class PolicyFile(Value):
    extends: Literal["readonly", "ask", "auto", "headless", "yolo"] | None = None
    default: Effect | None = None
    allow: ToolNames = ()
    ask: ToolNames = ()
    deny: ToolNames = ()
    share: ToolNames = ()
    """Tools whose private results a remote model may read."""
    scope: ToolNames | None = None
    """What a run may use to act, once it has read a text of others; whatever else acts is then asked about."""
    rule: tuple[Rule, ...] = Field(default=())
    label: dict[ToolName, Label] = Field(default_factory=dict)


class Layer(Value):
    """The rules of one tier."""

    tier: Tier
    origin: str
    """Where they are written: a path, a preset's name, or the hand that gave them."""
    trusted: bool = True
    """The user's own. What is not may tighten and never loosen."""
    default: Effect | None = None
    rules: tuple[Rule, ...] = ()
    share: ToolNames = ()
    scope: ToolNames | None = None
    labels: dict[str, Label] = Field(default_factory=dict)


def preset_layer(name: str) -> Layer:
    """The rules that a name stands for.

    Raises:
        PolicyError: there is no such preset.
    """
    if name not in PRESETS:
        near = get_close_matches(name, PRESETS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "or name a policy file that exists"
        raise PolicyError(f"there is no policy {name!r}", fix=f"presets: {', '.join(PRESETS)}; {hint}")

    return _preset(name)


@cache
def _preset(name: str) -> Layer:
    text = files("journeyman.policies").joinpath("presets", f"{name}.toml").read_text("utf-8")
    tier: Tier = "preset" if name in PRESETS else "builtin"
    return layer(parse(PolicyFile, text, f"preset {name}", PolicyError), text, tier=tier, origin=name)


def floor() -> Layer:
    """What stands under every preset."""
    return _preset("builtin")


def read_layer(path: Path, tier: Tier) -> tuple[Layer, PolicyFile]:
    """A policy file as the layer of its tier; a project's counts in full only once the user has trusted it.

    Raises:
        PolicyError: it cannot be read, says something unknown, or one of its examples fails; with file and line.
    """
    data = read_once(path, PolicyError, link=tier != "project")
    text = as_text(data, path, PolicyError)
    content = parse(PolicyFile, text, str(path), PolicyError)
    trusted = tier != "project" or is_trusted(path, data)
    return layer(content, text, tier=tier, origin=str(path), trusted=trusted), content


def layer(content: PolicyFile, text: str, *, tier: Tier, origin: str, trusted: bool = True) -> Layer:
    rules = tuple(_short(content)) + tuple(_named(rule) for rule in content.rule)
    seen: set[str] = set()
    for index, rule in enumerate(rules, start=-len(rules) + len(content.rule)):
        problem = f"a second rule is called {rule.id!r}" if rule.id in seen else ""
        if problem := problem or rule.failing_example():
            line = line_of(text, ("rule", index)) if index >= 0 else 1
            raise PolicyError(f"{origin}:{line}: rule {rule.id!r}: {problem}", fix="mend the rule or the example")

        seen.add(rule.id)

    given = {
        "default": content.default,
        "rules": rules,
        "share": content.share,
        "scope": content.scope,
        "labels": content.label,
    }
    return Layer(tier=tier, origin=origin, trusted=trusted, **given)


def _short(content: PolicyFile) -> Iterator[Rule]:
    for effect, names in (("allow", content.allow), ("ask", content.ask), ("deny", content.deny)):
        if names:
            yield Rule(id=effect, effect=effect, tool=names)


def _named(rule: Rule) -> Rule:
    return rule if rule.id else rule.model_copy(update={"id": f"{rule.effect} {', '.join(rule.tool)}"})


def found_layers(project: Path | None) -> Iterator[Layer]:
    """The layers of the user's own policy file and of the project's, where there are such files."""
    places: list[tuple[Tier, Path]] = [("system", SYSTEM_FILE), ("user", config_dir() / "policy.toml")]
    if project is not None:
        places.append(("project", project / PROJECT_FILE))

    for tier, path in places:
        if path.exists():
            layer, content = read_layer(path, tier)
            if content.extends:
                raise PolicyError(f"{path}: extends has no place in a {tier} file", fix="set policy = in config.toml")

            yield layer


def is_path(setting: str) -> bool:
    return "/" in setting or setting.endswith(".toml") or Path(setting).exists()
