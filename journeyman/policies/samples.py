"""Calls to try a policy with: for each tool that a rule or a label names, values on both sides of every condition, said
by each kind of source.

What two policies answer to all of these is what they mean, as far as conditions go one at a time; where there would be
more than `MOST` calls of one tool the rest is left out and `Universe.cut` names the tool.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from math import prod
from typing import Any, Literal, NamedTuple, get_args

from pydantic import JsonValue

from journeyman.policies.decision import Decision
from journeyman.policies.labels import OURS, Control, Label, shipped
from journeyman.policies.match import Matcher
from journeyman.policies.policy import Policy
from journeyman.policies.provenance import Provenance
from journeyman.policies.rows import leaves
from journeyman.policies.rule import Condition, Rule, meets
from journeyman.traces.messages import ToolSpec

MOST = 1000
World = Literal["", "user", "service", "unknown", "outsider"]
"""Who said the values; "" is a run that has read nothing of others yet."""
WORDS: dict[str, str] = {
    "": "before anything of others was read",
    "user": "its values said by the user",
    "service": "its values known to a service",
    "unknown": "its values from nowhere",
    "outsider": "its values from a text of others",
}
SHAPES: dict[str, JsonValue] = {
    "address": "someone@elsewhere.example",
    "name": "someone",
    "id": "item-4711x",
    "path": "elsewhere/a.txt",
    "url": "https://elsewhere.example/a",
    "amount": 10,
    "value": "something",
    "text": "something",
}
STRANGER = Label()
SERVICE = Label.model_validate({"returns": "service", "record": {"service": ["*"]}})


class Sample(NamedTuple):
    tool: ToolSpec
    arguments: Mapping[str, JsonValue]
    world: World = ""
    remote: bool = False
    """The model that would read the result is not on this machine."""

    def decide(self, policy: Policy) -> Decision:
        return policy.decide(self.tool, self.arguments, self._told(policy), remote=self.remote, contained=True)

    def _told(self, policy: Policy) -> Provenance:
        told = Provenance(policy.label_of)
        if not self.world:
            return told

        told.learn("c0", STRANGER, "a text of others")
        control = policy.label_of(self.tool).control
        for name, given in self.arguments.items():
            for _, value in leaves(given):
                self._tell(told, control.get(name), str(value))

        return told

    def _tell(self, told: Provenance, control: Control | None, value: str) -> None:
        if self.world == "user":
            told.say(f"delete, move or send {control.of if control and control.of else 'id'} {value}")
        elif self.world == "outsider":
            told.learn("c1", STRANGER, value)
        elif self.world == "service":
            told.learn("c1", SERVICE, "", {"value": value})

    def told(self) -> dict[str, JsonValue]:
        """As JSON shows it."""
        plain: dict[str, JsonValue] = {"tool": self.tool.identity, "arguments": dict(self.arguments)}
        notes = {"said_by": self.world, "remote": self.remote, "read_only": self.tool.read_only}
        return plain | {name: value for name, value in notes.items() if value}


class Universe(NamedTuple):
    samples: Sequence[Sample]
    cut: tuple[str, ...]
    """Tools with more combinations of values than were tried."""


def universe(*policies: Policy) -> Universe:
    """The calls that can tell these policies apart."""
    samples: list[Sample] = []
    cut = []
    for tool in _tools(policies):
        values = _values(policies, tool)
        if prod(len(each) for each in values.values()) > MOST:
            cut.append(tool.identity)

        for chosen in islice(product(*values.values()), MOST):
            arguments = {name: value for name, value in zip(values, chosen, strict=True) if value is not ABSENT}
            samples += [Sample(tool, arguments, world) for world in get_args(World)]
            samples.append(Sample(tool, arguments, remote=True))

    return Universe(samples, tuple(dict.fromkeys(cut)))


ABSENT: Any = object()


def _tools(policies: Iterable[Policy]) -> Iterator[ToolSpec]:
    names = ["elsewhere.act", "python.own", *shipped()]
    asks_reading = False
    for policy in policies:
        for layer in policy.layers:
            names += [*layer.labels, *layer.share, *(layer.scope or ())]
            for condition in _conditions(layer.rules):
                names += condition.tool
                asks_reading |= condition.read_only is not None

    for name in dict.fromkeys(each.replace("*", "act") for each in names if each != "*"):
        server, tool = name.split(".", 1)
        for read_only in (False, True) if asks_reading and server in OURS else (False,):
            yield ToolSpec(name="x", server=server, tool=tool, read_only=read_only)


def _conditions(rules: Iterable[Rule]) -> Iterator[Condition]:
    for rule in rules:
        yield from (rule, *rule.unless)


def _values(policies: Iterable[Policy], tool: ToolSpec) -> dict[str, list[Any]]:
    """By argument: values on both sides of every condition on it, one that nobody can judge, and none at all."""
    found: dict[str, list[Any]] = {}
    for policy in policies:
        label = policy.label_of(tool)
        for name, control in label.control.items():
            value = SHAPES[control.kind]
            found.setdefault(name, [{control.key: value} if control.key else value])

        for name in label.data:
            found.setdefault(name, ["see www.elsewhere.example"])

        if label.shapes:
            found.setdefault("to", [SHAPES["address"]])

        for rule in (rule for layer in policy.layers for rule in layer.rules):
            for condition in (rule, *rule.unless) if any(meets(each, tool) for each in rule.tool) else ():
                for name, matcher in condition.where.items():
                    found[name] = [*found.get(name, [ABSENT]), *_around(matcher)]

    return {name: _distinct(values) for name, values in found.items()}


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list({(type(each), str(each)): each for each in values}.values())


def _around(matcher: Matcher) -> Iterator[Any]:
    yield "something else"
    if matcher.eq is not None:
        yield matcher.eq

    yield from matcher.one_of or ()
    for folder in _many(matcher.under):
        yield from (f"{folder}/a.txt".replace("//", "/"), f"{folder}/.hidden", f"{folder}-beside", "elsewhere/a.txt")

    if matcher.hidden is not None:
        yield from (".hidden", "plain.txt", "a\0b")

    for host in _many(matcher.host):
        name = host.replace("*", "a")
        yield from (f"https://{name}/a", f"https://{name}.elsewhere.example/", f"https://user@{name}/")

    for number in (matcher.max, matcher.min):
        if number is not None:
            yield from (number - 1, number, number + 1, str(number))

    for command in _many(matcher.shell):
        yield from (command, f"{command}; something-else", f"$({command})")


def _many(names: str | Sequence[str] | None) -> Sequence[str]:
    return () if names is None else (names,) if isinstance(names, str) else names
