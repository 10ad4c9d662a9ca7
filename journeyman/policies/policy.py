"""The permission policy: which tool calls are allowed, asked about or denied.

Layers of rules: built-in, preset, system, user, project, file (named with this run), session (its flags, or the code
that made the agent). A call is decided so:

1. Of all rules that match, whichever layer they stand in, the strictest wins: deny > ask > allow. Order never matters.
2. A project's layer that the user has not trusted can only tighten: its allows and its labels count for nothing.
3. Where no rule matches, the default does: that of the highest layer which names one, an untrusted one tightening only.
4. What a remote model would read of the user's own business is asked about, unless a layer shares that tool with it.

Hence adding a rule that asks or denies never widens, and no file that came with a clone loosens anything. A rule may
ask about what steers a call (`untrusted`): then where each value came from decides, and it is asked with the witness.
"Headless" is not an effect: an ask that nobody is there to answer becomes a denial in the loop.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import JsonValue, ValidationError

from journeyman.errors import PolicyError
from journeyman.policies.decision import Decision
from journeyman.policies.either import Either
from journeyman.policies.labels import OURS, Label, default, shipped
from journeyman.policies.load import (
    PRESETS,
    TIERS,
    Layer,
    PolicyFile,
    floor,
    found_layers,
    is_path,
    preset_layer,
    read_layer,
)
from journeyman.policies.provenance import Provenance
from journeyman.policies.reason import PRIVATE, Hit, reason_of
from journeyman.policies.rule import Call, Rule, is_read_only, meets
from journeyman.tomlfile import explained
from journeyman.traces.events import Effect, Event, RunStarted
from journeyman.traces.messages import ToolSpec, Value

STRICTNESS: dict[Effect, int] = {"allow": 0, "ask": 1, "deny": 2}

V = TypeVar("V", bound=Value)


class Policy:
    """A policy that decides; frozen, so `.allow`, `.ask` and `.deny` return another one.

        Policy.allow("add").ask("time.*").deny("files.*", where={"path": {"under": "secrets"}})
        Policy.preset("readonly");  Policy.load(Path("house.toml"))

    Called on the class they stand on the preset `ask`.
    """

    def __init__(self, layers: Iterable[Layer], *, root: Path | None = None, stands_for: Path | None = None) -> None:
        self.layers = tuple(sorted(layers, key=lambda each: TIERS.index(each.tier)))
        self.root, self.stands_for = root, stands_for
        self._known: dict[tuple[str, str, bool], tuple[Label, tuple[Hit, ...]]] = {}

    def __repr__(self) -> str:
        return f"<policy {self.name} {self.digest[:12]}>"

    @property
    def name(self) -> str:
        """`ask`, `readonly + session`: the preset and the tiers on top of it."""
        shown = (each for each in self.layers if each.tier != "builtin")
        return " + ".join(each.origin if each.tier == "preset" else each.tier for each in shown)

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
        return cls([floor(), preset_layer(name)])

    @classmethod
    def load(cls, path: str | Path) -> "Policy":
        """A policy file named by the user's own hand, on the preset it extends (`ask` without one).

        Raises:
            PolicyError: it cannot be used; with file, line and what to do.
        """
        layer, content = read_layer(Path(path), "file")
        return cls([floor(), preset_layer(content.extends or "ask"), layer])

    @classmethod
    def assemble(
        cls,
        setting: str = "ask",
        *,
        project: Path | None = None,
        allow: Sequence[str] = (),
        ask: Sequence[str] = (),
        deny: Sequence[str] = (),
        share: Sequence[str] = (),
        scope: Sequence[str] = (),
    ) -> "Policy":
        """What a command line means: the setting (a preset or a file), the user's and the project's files, the flags.

        Raises:
            PolicyError: one of them cannot be used.
        """
        base = cls.preset(setting) if setting in PRESETS or not is_path(setting) else cls.load(setting)
        policy = cls([*base.layers, *found_layers(project)])
        for add, names in {"allow": allow, "ask": ask, "deny": deny, "share": share, "scope": scope}.items():
            policy = getattr(policy, add)(*names) if names else policy

        return policy

    def within(self, root: Path, *, stands_for: Path | None = None) -> "Policy":
        """The same policy for tools that work in this folder: `under` then sees through symbolic links.

        `stands_for`: the folder that it is a copy of; rules that name folders of that one hold in the copy too.
        """
        return Policy(self.layers, root=root.resolve(), stands_for=stands_for and stands_for.resolve())

    @Either
    def allow(self, *tools: str, where: Mapping[str, Any] | None = None, unless: Any = (), why: str = "") -> "Policy":
        """Allow these calls, whatever the layers below ask."""
        return self._with("allow", tools, where=where or {}, unless=unless, why=why)

    @Either
    def ask(self, *tools: str, where: Mapping[str, Any] | None = None, unless: Any = (), why: str = "") -> "Policy":
        """Ask about these calls."""
        return self._with("ask", tools, where=where or {}, unless=unless, why=why)

    @Either
    def deny(self, *tools: str, where: Mapping[str, Any] | None = None, unless: Any = (), why: str = "") -> "Policy":
        """Deny these calls, whatever else allows them."""
        return self._with("deny", tools, where=where or {}, unless=unless, why=why)

    @Either
    def share(self, *tools: str) -> "Policy":
        """Let a remote model read what these tools return, private or not."""
        more = _valid(PolicyFile, f"share {', '.join(tools)}", {"share": tools}).share
        return self._session(share=(*self._top.share, *more))

    @Either
    def scope(self, *tools: str) -> "Policy":
        """Declare what a run needs to act; once it has read a text of others, whatever else acts is asked about."""
        return self._session(scope=_valid(PolicyFile, f"scope {', '.join(tools)}", {"scope": tools}).scope)

    @Either
    def label(self, tool: str, **label: Any) -> "Policy":
        """Say what a tool does: `label("mail.send", does="external", control={"to": "address"})`; see `labels.py`."""
        content = _valid(PolicyFile, f"label {tool}", {"label": {tool: label}})
        return self._session(labels=self._top.labels | content.label)

    def _with(self, effect: Effect, tools: Sequence[str], **condition: Any) -> "Policy":
        name = f"{effect} {', '.join(tools)}"
        rule = _valid(Rule, name, {"id": name, "effect": effect, "tool": tools, **condition})
        return self._session(rules=(*self._top.rules, rule))

    @property
    def _top(self) -> Layer:
        own = (each for each in self.layers if each.tier == "session")
        return next(own, Layer(tier="session", origin="session"))

    def _session(self, **update: Any) -> "Policy":
        others = [each for each in self.layers if each.tier != "session"]
        return Policy([*others, self._top.model_copy(update=update)], root=self.root, stands_for=self.stands_for)

    def watch(self, *, remote: bool = False) -> "Watch":
        """The policy over one run: what the run is told decides too. `remote`: its model is not on this machine."""
        return Watch(self, Provenance(self.label_of), remote=remote)

    def label_of(self, tool: ToolSpec) -> Label:
        """What is known of a tool: from the highest trusted layer that labels it, else as shipped."""
        return self._of(tool)[0]

    def only_reads(self, tool: ToolSpec) -> bool:
        """Does it change nothing, as we or its label say: what another server says of itself is not asked."""
        does = set(self.label_of(tool).does)
        return is_read_only(tool) or (bool(does) and does <= {"read", "fetch"})

    def decide(
        self,
        tool: ToolSpec,
        arguments: Mapping[str, JsonValue],
        provenance: Provenance | None = None,
        *,
        remote: bool = False,
        contained: bool = False,
    ) -> Decision:
        """What becomes of this call.

        Defaults that the tool's schema declares count as given; those of a server that is not ours can forbid a call,
        not allow it.

        Args:
            tool: as the run knows it.
            arguments: validated, without defaults.
            provenance: what the run has been told; without it no rule about `untrusted` matches.
            remote: the model that would read the result is not on this machine.
            contained: a sandbox that was proven to isolate holds what `code.*` runs.
        """
        label, named = self._of(tool)
        findings = provenance.trace(label, arguments) if provenance else ()
        defaults = _defaults(tool)
        given = Call(tool, arguments, label, findings, self.root, self.stands_for, contained and tool.server == "code")
        full = given._replace(arguments={**defaults, **arguments}) if defaults else given

        def matches(rule: Rule) -> bool:
            sure = not defaults or rule.effect != "allow" or tool.server in OURS or rule.matches(given, fits=True)
            return sure and rule.matches(full, fits=True)

        hits = [hit for hit in named if matches(hit[1])]
        effect = self._effect(hits)
        if remote and effect == "allow" and label.private and not self._shared(tool):
            return Decision("ask", ("builtin:share",), PRIVATE.format(tool.identity), label, findings, private=True)

        if effect == "allow" and provenance and provenance.tainted and self._is_outside(tool, label):
            reason = f"{tool.identity} is not among what this run was declared to need"
            return Decision("ask", ("builtin:scope",), reason, label, findings)

        ordered = sorted(hits, key=lambda hit: (-STRICTNESS[hit[1].effect], -TIERS.index(hit[0].tier), hit[1].id))
        rules = tuple(f"{layer.tier}:{rule.id}" for layer, rule in ordered)
        deciding = [hit for hit in ordered if hit[1].effect == effect]
        return Decision(effect, rules, reason_of(effect, deciding, given), label, findings)

    def _of(self, tool: ToolSpec) -> tuple[Label, tuple[Hit, ...]]:
        """The tool's label, and the rules that name it whatever its arguments; found once."""
        key = (tool.server, tool.tool, tool.read_only)
        if key not in self._known:
            labels = [each.labels for each in reversed(self.layers) if each.trusted] + [shipped()]
            names = (tool.identity, f"{tool.server}.*")
            label = next((table[name] for table in labels for name in names if name in table), default(tool))
            rules = [(layer, rule) for layer in self.layers for rule in layer.rules]
            counting = [hit for hit in rules if hit[0].trusted or hit[1].effect != "allow"]
            self._known[key] = label, tuple(hit for hit in counting if hit[1].fits(tool, label))

        return self._known[key]

    def _is_outside(self, tool: ToolSpec, label: Label) -> bool:
        scopes = [each.scope for each in self.layers if each.scope is not None]
        return label.does != ("read",) and not all(any(meets(name, tool) for name in scope) for scope in scopes)

    def _shared(self, tool: ToolSpec) -> bool:
        return any(meets(name, tool) for each in self.layers if each.trusted for name in each.share)

    def _effect(self, hits: Sequence[Hit]) -> Effect:
        said: list[Effect] = [rule.effect for _, rule in hits]
        if said and any(layer.trusted for layer, _ in hits):
            return max(said, key=STRICTNESS.__getitem__)

        return max([*said, self._default], key=STRICTNESS.__getitem__)

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
        return tuple(name for name in names if not any(meets(name, tool) for tool in tools))


class Watch:
    """A policy that hears of one run's events."""

    def __init__(self, policy: Policy, provenance: Provenance, *, remote: bool) -> None:
        self._policy, self._remote = policy, remote
        self._provenance = provenance
        self._contained = False

    def apply(self, event: Event) -> None:
        self._provenance.apply(event)
        if type(event) is RunStarted:
            level = event.sandbox.get("level")
            self._contained = isinstance(level, int) and level > 0

    def decide(self, tool: ToolSpec, arguments: Mapping[str, JsonValue]) -> Decision:
        return self._policy.decide(tool, arguments, self._provenance, remote=self._remote, contained=self._contained)


def _valid(kind: type[V], told: str, fields: Mapping[str, Any]) -> V:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        _, message, fix = explained(kind, error)
        raise PolicyError(f"{told}: {message}", fix=fix) from None


def _defaults(tool: ToolSpec) -> dict[str, JsonValue]:
    properties = cast("dict[str, Any]", tool.parameters.get("properties") or {})
    return {name: each["default"] for name, each in properties.items() if isinstance(each, dict) and "default" in each}
