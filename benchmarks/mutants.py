"""How much of our presets and labels the truth tables hold: `python -m benchmarks.mutants`.

Every rule and label that ships, and those of the tables' own policies, is made wrong in one way at a time: dropped,
turned round, widened, trusted too much. A mutant is killed where `journeyman policy test` would notice. Among them are
the four mistakes that were found in the policies CaMeL published for AgentDojo. Ends with 1 below 95 %.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_args

from journeyman.policies.labels import Does, Label, default, shipped
from journeyman.policies.load import PRESETS, Layer
from journeyman.policies.policy import Policy
from journeyman.policies.rule import Rule
from journeyman.policies.table import Table, policy_of, read_table, run, shipped_tables, spec_of

GOAL = 0.95
EFFECTS = ("allow", "ask", "deny")


class Mutant(NamedTuple):
    name: str
    apply: Callable[[Policy], Policy]


def in_layer(origin: str, change: Callable[[Layer], Layer]) -> Callable[[Policy], Policy]:
    return lambda policy: Policy(change(each) if each.origin == origin else each for each in policy.layers)


def without(whole: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in whole.items() if name != key}


Fields = dict[str, Any]
Wrong = Iterator[tuple[str, Fields | None]]


def wrong_rules(rule: Rule) -> Wrong:
    """What could have been written instead; None is nothing."""
    plain: Fields = json.loads(
        rule.model_dump_json(by_alias=True, exclude_defaults=True, exclude={"match", "not_match"})
    )
    yield "dropped", None
    for effect in EFFECTS:
        if effect != rule.effect:
            yield f"effect {effect}", plain | {"effect": effect}

    for told, fields in (*_wrong_tools(plain), *_wrong_flags(plain), *_wrong_where(plain.get("where", {}))):
        yield told, fields if "effect" in fields else plain | fields

    exceptions = plain.get("unless", [])
    for place, exception in enumerate(exceptions):
        before, after = exceptions[:place], exceptions[place + 1 :]
        yield f"without exception {place}", plain | {"unless": [*before, *after]}
        for told, fields in (*_wrong_tools(exception), *_wrong_flags(exception)):
            yield f"exception {place}: {told}", plain | {"unless": [*before, fields, *after]}


def _wrong_tools(plain: Fields) -> Iterator[tuple[str, Fields]]:
    names = plain["tool"]
    if "*" not in names:
        yield "any tool", plain | {"tool": ["*"]}

    for name in names if len(names) > 1 else ():
        yield f"without {name}", plain | {"tool": [each for each in names if each != name]}


def _wrong_flags(plain: Fields) -> Iterator[tuple[str, Fields]]:
    for key in ("untrusted", "read_only"):
        if key in plain:
            yield f"without {key}", without(plain, key)
            yield f"{key} turned round", plain | {key: not plain[key]}


def _wrong_where(where: Fields) -> Iterator[tuple[str, Fields]]:
    for name, matcher in where.items():
        yield f"without where.{name}", {"where": without(where, name)}
        for key, value in matcher.items():
            for each in value if isinstance(value, list) else ():
                fewer = [other for other in value if other != each]
                yield f"{name}.{key} without {each}", {"where": {name: matcher | {key: fewer}}}

            if isinstance(value, bool):
                yield f"{name}.{key} turned round", {"where": {name: matcher | {key: not value}}}


def of_layer(layer: Layer) -> Iterator[Mutant]:
    for effect in EFFECTS:
        if layer.default and effect != layer.default:
            made = in_layer(layer.origin, lambda each, effect=effect: each.model_copy(update={"default": effect}))
            yield Mutant(f"{_short(layer)}: default {effect}", made)

    for rule in layer.rules:
        for told, fields in wrong_rules(rule):
            made = Rule.model_validate(fields) if fields else None
            yield Mutant(f"{_short(layer)}: {rule.id}: {told}", in_layer(layer.origin, _swap(rule.id, made)))

    for name, label in layer.labels.items():
        for told, wrong in wrong_labels(label):
            changed = {**layer.labels, name: wrong} if wrong else without(layer.labels, name)
            made = in_layer(layer.origin, lambda each, changed=changed: each.model_copy(update={"labels": changed}))
            yield Mutant(f"{_short(layer)}: {name}: {told}", made)


def _short(layer: Layer) -> str:
    return Path(layer.origin).stem


def _swap(rule_id: str, made: Rule | None) -> Callable[[Layer], Layer]:
    def change(layer: Layer) -> Layer:
        rules = [(made if each.id == rule_id else each) for each in layer.rules]
        return layer.model_copy(update={"rules": tuple(each for each in rules if each)})

    return change


def wrong_labels(label: Label) -> Iterator[tuple[str, Label | None]]:
    plain: Fields = json.loads(label.model_dump_json(by_alias=True, exclude_defaults=True))
    yield "dropped", None
    yield "private turned round", _made(plain, private=not label.private)
    yield from _wrong_kinds(label, plain)
    for each in ("trusted", "service", "outsider"):
        # `service` differs from `outsider` only where a result's values are taken for targets
        if each != label.returns and {each, label.returns} != {"service", "outsider"}:
            yield f"returns {each}", _made(plain, returns=each)

    for name in plain.get("control", {}):
        yield from _wrong_control(label, plain, name)

    for name in label.data:
        yield f"{name} carries nothing", _made(plain, data=[each for each in label.data if each != name])

    for key in plain.get("record", {}):
        if key != "of":
            yield f"record without {key}", _made(plain, record=without(plain["record"], key))


def _made(plain: Fields, **update: Any) -> Label:
    return Label.model_validate(plain | update)


def _wrong_kinds(label: Label, plain: Fields) -> Iterator[tuple[str, Label]]:
    for each in get_args(Does):
        if each in label.does:
            yield f"does without {each}", _made(plain, does=[other for other in label.does if other != each])
        else:
            yield f"does {each} too", _made(plain, does=[*label.does, each])
            yield f"does {each} only", _made(plain, does=[each])


def _wrong_control(label: Label, plain: Fields, name: str) -> Iterator[tuple[str, Label]]:
    controls = plain["control"]
    yield f"{name} steers nothing", _made(plain, control=without(controls, name))
    for least in ("user", "service", "unknown", "any"):
        if least != label.control[name].least:
            yield f"{name} from {least}", _made(plain, control=controls | {name: controls[name] | {"from": least}})

    if label.control[name].of:
        yield f"{name} of anything", _made(plain, control=controls | {name: without(controls[name], "of")})
        yield f"{name} a name", _made(plain, control=controls | {name: {"kind": "name"}})


def of_shipped() -> Iterator[Mutant]:
    for name, label in shipped().items():
        for told, wrong in wrong_labels(label):
            server = name.split(".")[0]
            instead = wrong or (shipped().get(f"{server}.*") if "*" not in name else None)
            instead = instead or default(spec_of(name.replace("*", "act")))
            layer = Layer(tier="builtin", origin="mutant", labels={**shipped(), name: instead})
            yield Mutant(f"labels: {name}: {told}", lambda policy, layer=layer: Policy([*policy.layers, layer]))


def camel(folder: Path) -> Iterator[Mutant]:
    """What was wrong in CaMeL's policies, in our words."""
    desk = next(each for each in Policy.load(folder / "desk.toml").layers if each.tier == "file")

    def seed(what: str, name: str, **update: Any) -> Mutant:
        plain = json.loads(desk.labels[name].model_dump_json(by_alias=True, exclude_defaults=True))
        labels = {**desk.labels, name: Label.model_validate(plain | update)}
        return Mutant(f"CaMeL: {what}", in_layer(desk.origin, lambda each: each.model_copy(update={"labels": labels})))

    yield seed(
        "a deletion is trusted from strangers", "mail.delete", control={"mail_id": {"kind": "value", "from": "any"}}
    )
    yield seed("participants are not looked at", "calendar.invite", control={"event_id": {"kind": "id", "of": "event"}})
    swapped = {"control": {"restaurant": {"kind": "name", "from": "service"}}}
    yield seed("the fields of two bookings are swapped", "booking.car", **swapped)
    yield seed("reviews are taken for the user's own", "booking.reviews", returns="trusted")


def killed(mutant: Mutant, tables: Mapping[str, tuple[Table, Policy]]) -> str:
    """The first case that notices."""
    for name, (table, policy) in tables.items():
        changed = mutant.apply(policy)
        if [*map(id, changed.layers)] == [*map(id, policy.layers)]:
            continue  # it is about another policy

        for verdict in run(table, changed, name):
            if not verdict.ok:
                return f"{name}: {verdict.case}"

    return ""


def main() -> int:
    folder = shipped_tables()
    tables = {}
    layers = {}
    for path in sorted(folder.glob("*.test.toml")):
        table = read_table(path)
        policy = policy_of(table, folder)
        tables[path.name] = table, policy
        layers |= {each.origin: each for each in policy.layers}

    mutants = [*camel(folder), *of_shipped()]
    ours = {*PRESETS, "builtin", str(folder / "desk.toml")}
    mutants += [each for origin, layer in layers.items() if origin in ours for each in of_layer(layer)]
    found = {mutant.name: killed(mutant, tables) for mutant in mutants}
    alive = [name for name, by in found.items() if not by]
    share = 1 - len(alive) / len(found)
    if "--json" in sys.argv:
        print(json.dumps({"mutants": len(found), "killed": share, "alive": alive}))
    else:
        for name in alive:
            print(f"alive  {name}")

        for name, by in found.items():
            if name.startswith("CaMeL"):
                print(f"{name}: {f'killed by {by}' if by else 'ALIVE'}")

        print(f"{len(found) - len(alive)} of {len(found)} mutants killed ({share:.1%}); goal {GOAL:.0%}")

    return 0 if share >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
