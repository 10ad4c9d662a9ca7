"""The permission policy: each call of a tool is allowed, asked about or denied.

Layers of rules stand on each other: preset < user < project < file (named with this run) < session (its flags, or the
code that made the agent). A call is decided so:

1. In each layer the strictest rule that matches speaks for it (deny > ask > allow). The order of rules never matters.
2. A deny from any layer is final.
3. Otherwise the highest layer that speaks decides. So the user's own allow lifts the preset's ask, and an ask given
   with this run tightens an allow in the user's file. A project's layer that the user has not trusted can only tighten
   what the layers below it decided; its allows count for nothing.
4. Where no layer speaks, the default does: that of the highest layer which names one, an untrusted one tightening only.

Hence adding a deny never widens, an allow never beats a deny, and no file that came with a clone loosens anything.
"Headless" is not an effect: an ask that nobody is there to answer becomes a denial in the loop.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, cast

from pydantic import JsonValue, ValidationError

from journeyman.errors import PolicyError
from journeyman.home import config_dir
from journeyman.policies.decision import Decision
from journeyman.policies.load import PRESETS, TIERS, Layer, Tier, preset_layer, read_layer
from journeyman.policies.rule import OURS, Rule
from journeyman.tomlfile import explained
from journeyman.traces.events import Effect
from journeyman.traces.messages import ToolSpec

STRICTNESS: dict[Effect, int] = {"allow": 0, "ask": 1, "deny": 2}
VERBS: dict[Effect, str] = {"allow": "allows", "ask": "asks about", "deny": "denies"}
PROJECT_FILE = "journeyman.policy.toml"

P = ParamSpec("P")
Hit = tuple[Layer, Rule]


class _Either(Generic[P]):
    """A method that starts from the default policy where it is called on the class."""

    def __init__(self, method: "Callable[Concatenate[Policy, P], Policy]") -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, policy: "Policy | None", owner: "type[Policy]") -> "Callable[P, Policy]":
        start = owner.preset("ask") if policy is None else policy
        return lambda *args, **kwargs: self._method(start, *args, **kwargs)


class Policy:
    """A policy that decides; frozen, so `.allow`, `.ask` and `.deny` return another one.

        Policy.allow("add").ask("time.*").deny("files.*", where={"path": {"under": "secrets"}})
        Policy.preset("readonly");  Policy.load(Path("house.toml"))

    Called on the class they stand on the preset `ask`.
    """

    def __init__(self, layers: Iterable[Layer], *, root: Path | None = None) -> None:
        self.layers = tuple(sorted(layers, key=lambda each: TIERS.index(each.tier)))
        self.root = root
        self._named: dict[tuple[str, str, bool], tuple[Hit, ...]] = {}

    def __repr__(self) -> str:
        return f"<policy {self.name} {self.digest[:12]}>"

    @property
    def name(self) -> str:
        """`ask`, `readonly + session`: the preset and the tiers on top of it."""
        return " + ".join(each.origin if each.tier == "preset" else each.tier for each in self.layers)

    @cached_property
    def text(self) -> str:
        """The whole policy as canonical JSON, whatever files it came from."""
        layers = [
            each.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"origin"})
            for each in self.layers
        ]
        return json.dumps(layers, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `text`, in hex."""
        return sha256(self.text.encode()).hexdigest()

    @classmethod
    def preset(cls, name: str) -> "Policy":
        """One of readonly, ask, auto, headless, yolo.

        Raises:
            PolicyError: there is no such preset.
        """
        return cls([preset_layer(name)])

    @classmethod
    def load(cls, path: str | Path) -> "Policy":
        """A policy file named by the user's own hand, on the preset it extends (`ask` without one).

        Raises:
            PolicyError: it cannot be used; with file, line and what to do.
        """
        layer, content = read_layer(Path(path), "file")
        return cls([preset_layer(content.extends or "ask"), layer])

    @classmethod
    def assemble(
        cls,
        setting: str = "ask",
        *,
        project: Path | None = None,
        allow: Sequence[str] = (),
        ask: Sequence[str] = (),
        deny: Sequence[str] = (),
    ) -> "Policy":
        """What a command line means: the setting (a preset or a file), the user's and the project's files, the flags.

        Raises:
            PolicyError: one of them cannot be used.
        """
        base = cls.preset(setting) if setting in PRESETS or not _is_path(setting) else cls.load(setting)
        policy = cls([*base.layers, *_found(project)])
        for names, add in ((allow, "allow"), (ask, "ask"), (deny, "deny")):
            policy = getattr(policy, add)(*names) if names else policy

        return policy

    def within(self, root: Path) -> "Policy":
        """The same policy for tools that work in this folder: `under` then sees through symbolic links."""
        return Policy(self.layers, root=root.resolve())

    @_Either
    def allow(self, *tools: str, where: Mapping[str, Any] | None = None, unless: Any = (), why: str = "") -> "Policy":
        """Allow these calls, whatever the layers below ask."""
        return self._with("allow", tools, where=where or {}, unless=unless, why=why)

    @_Either
    def ask(self, *tools: str, where: Mapping[str, Any] | None = None, unless: Any = (), why: str = "") -> "Policy":
        """Ask about these calls."""
        return self._with("ask", tools, where=where or {}, unless=unless, why=why)

    @_Either
    def deny(self, *tools: str, where: Mapping[str, Any] | None = None, unless: Any = (), why: str = "") -> "Policy":
        """Deny these calls, whatever else allows them."""
        return self._with("deny", tools, where=where or {}, unless=unless, why=why)

    def _with(self, effect: Effect, tools: Sequence[str], **condition: Any) -> "Policy":
        fields = {"id": f"{effect} {', '.join(tools)}", "effect": effect, "tool": tools, **condition}
        try:
            rule = Rule.model_validate(fields)
        except ValidationError as error:
            _, message, fix = explained(Rule, error)
            raise PolicyError(f"{effect} {', '.join(tools)}: {message}", fix=fix) from None

        session = next(
            (each for each in self.layers if each.tier == "session"), Layer(tier="session", origin="session")
        )
        others = [each for each in self.layers if each.tier != "session"]
        return Policy([*others, session.model_copy(update={"rules": (*session.rules, rule)})], root=self.root)

    def decide(self, tool: ToolSpec, arguments: Mapping[str, JsonValue]) -> Decision:
        """What becomes of this call.

        Defaults that the tool's schema declares count as given; those of a server that is not ours can forbid a call,
        not allow it.
        """
        given = dict(arguments)
        full = {**_defaults(tool), **given}

        def matches(rule: Rule) -> bool:
            sure = rule.effect != "allow" or tool.server in OURS or rule.matches(tool, given, self.root)
            return sure and rule.matches(tool, full, self.root)

        return self._combine(tool, [hit for hit in self._naming(tool) if matches(hit[1])])

    def _naming(self, tool: ToolSpec) -> tuple[Hit, ...]:
        """The rules that name this tool, whatever its arguments; found once."""
        key = (tool.server, tool.tool, tool.read_only)
        if key not in self._named:
            rules = [(layer, rule) for layer in self.layers for rule in layer.rules]
            self._named[key] = tuple(hit for hit in rules if hit[1].fits(tool))

        return self._named[key]

    def _combine(self, tool: ToolSpec, hits: Sequence[Hit]) -> Decision:
        effect = self._effect(hits)
        ordered = sorted(hits, key=lambda hit: (-STRICTNESS[hit[1].effect], -TIERS.index(hit[0].tier), hit[1].id))
        rules = tuple(f"{layer.tier}:{rule.id}" for layer, rule in ordered)
        deciding = [hit for hit in ordered if hit[1].effect == effect]
        return Decision(effect=effect, rules=rules, reason=_reason(effect, deciding, tool))

    def _effect(self, hits: Sequence[Hit]) -> Effect:
        if any(rule.effect == "deny" for _, rule in hits):
            return "deny"

        effect = self._default
        for layer in self.layers:
            said = [rule.effect for each, rule in hits if each is layer]
            if said:
                strictest = max(said, key=STRICTNESS.__getitem__)
                effect = strictest if layer.trusted else max(effect, strictest, key=STRICTNESS.__getitem__)

        return effect

    @cached_property
    def _default(self) -> Effect:
        effect: Effect = "ask"
        for layer in self.layers:
            if layer.default is not None:
                effect = layer.default if layer.trusted else max(effect, layer.default, key=STRICTNESS.__getitem__)

        return effect

    def unmet(self, tools: Sequence[ToolSpec]) -> tuple[str, ...]:
        """Patterns given with this run that no tool of a run has: most likely misspelt, so worth a word."""
        given = [rule for layer in self.layers if layer.tier in {"file", "session"} for rule in layer.rules]
        names = dict.fromkeys(name for rule in given for name in rule.tool)
        return tuple(name for name in names if not any(_meets(name, tool) for tool in tools))


def _found(project: Path | None) -> Iterator[Layer]:
    """The layers of the user's own policy file and of the project's, where there are such files."""
    places: list[tuple[Tier, Path]] = [("user", config_dir() / "policy.toml")]
    if project is not None:
        places.append(("project", project / PROJECT_FILE))

    for tier, path in places:
        if path.exists():
            layer, content = read_layer(path, tier)
            if content.extends:
                raise PolicyError(f"{path}: extends has no place in a {tier} file", fix="set policy = in config.toml")

            yield layer


def _reason(effect: Effect, deciding: Sequence[Hit], tool: ToolSpec) -> str:
    """In the words of a rule only where the user trusts who wrote them."""
    if not deciding:
        return f"no rule {'stops' if effect == 'allow' else 'allows'} {tool.identity}"

    rule = next((rule for layer, rule in deciding if layer.trusted), None)
    if rule is None:
        return f"the project's untrusted policy file {VERBS[effect]} {tool.identity}"

    return rule.why or f"the rule {rule.id!r} {VERBS[effect]} {tool.identity}"


def _meets(name: str, tool: ToolSpec) -> bool:
    return Rule(effect="ask", tool=(name,)).fits(tool)


def _is_path(setting: str) -> bool:
    return "/" in setting or setting.endswith(".toml") or Path(setting).exists()


def _defaults(tool: ToolSpec) -> dict[str, JsonValue]:
    properties = cast("dict[str, Any]", tool.parameters.get("properties") or {})
    return {name: each["default"] for name, each in properties.items() if isinstance(each, dict) and "default" in each}
