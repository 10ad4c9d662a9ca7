"""What a decision costs: 100 rules and a run of 200 calls behind it, with where every value came from.

Beside it, where they are installed (extra `bench`), Cedar (cedarpy) and casbin decide the same 100 rules: without
provenance, without a third answer. CPU time of each single decision; the slowest is told too.
"""

import gc
import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from journeyman.policies.load import read_layer
from journeyman.policies.policy import Policy, Watch
from journeyman.traces.events import CallFinished, CallProposed, RunStarted
from journeyman.traces.messages import ToolResult, ToolSpec

RULES, CALLS, ROUNDS = 100, 200, 2000
SERVERS = ("mail", "drive", "calendar", "shop", "wiki")


def policy_file(folder: Path) -> Path:
    """100 rules over five servers, each with a condition and two examples."""
    rules = [
        f"""[[rule]]
id = "r{n}"
effect = "{("allow", "ask", "deny")[n % 3]}"
tool = "{SERVERS[n % 5]}.act{n % 20}"
where.to = {{ in = ["a{n}@firm.org", "b{n}@firm.org"] }}
match = [{{ tool = "{SERVERS[n % 5]}.act{n % 20}", arguments = {{ to = "a{n}@firm.org" }} }}]
not_match = [{{ tool = "{SERVERS[n % 5]}.act{n % 20}", arguments = {{ to = "c@firm.org" }} }}]
"""
        for n in range(RULES)
    ]
    labels = [
        f'[label."{server}.{tool}"]\n{label}\n'
        for server in SERVERS
        for tool, label in (
            ("*", 'does = "external"\ncontrol.to = "address"\ndata = ["body"]'),
            ("read", 'does = "read"\nprivate = true\nrecord = { of = "mail", id = "id", name = ["subject"] }'),
        )
    ]
    path = folder / "house.toml"
    path.write_text(
        f"allow = {json.dumps([f'{each}.*' for each in SERVERS])}\n" + "\n".join([*rules, *labels]), "utf-8"
    )
    return path


def spec(name: str, **fields: Any) -> ToolSpec:
    server, tool = name.split(".")
    return ToolSpec(name=name, server=server, tool=tool, **fields)


def a_long_run(policy: Policy) -> Watch:
    """A run that has read 200 results of 1 KB, a mail each."""
    watch = policy.watch()
    read = spec("mail.read")
    watch.apply(RunStarted(prompt="Answer a7@firm.org and c@firm.org", model="m", tools=(read,)))
    for n in range(CALLS):
        body = " ".join(f"word{n * 150 + k} from d{n}@evil.org" for k in range(40))
        watch.apply(CallProposed(call_id=f"c{n}", tool="mail.read", arguments={}))
        row = {"id": n, "subject": f"Subject {n}", "body": body}
        watch.apply(CallFinished(result=ToolResult(call_id=f"c{n}", name="x", text=json.dumps([row]))))

    return watch


def timed(decide: Callable[[int], Any], rounds: int = ROUNDS) -> tuple[float, float, float]:
    """Median, 95th percentile and longest of single decisions, in microseconds of this thread's CPU time."""
    times = []
    gc.collect()
    gc.freeze()  # a collection of all that the process holds is no decision's cost
    for n in range(rounds):
        started = time.thread_time_ns()
        decide(n)
        times.append((time.thread_time_ns() - started) / 1000)

    times.sort()
    return times[rounds // 2], times[int(rounds * 0.95)], times[-1]


def ours(watch: Watch) -> Callable[[int], Any]:
    specs = [spec(f"{SERVERS[n % 5]}.act{n % 20}") for n in range(RULES)]
    values = ("a7@firm.org", "c@firm.org", "d150@evil.org", "nobody@nowhere.org")
    for each in specs:  # each tool's rules are found once
        watch.decide(each, {"to": "x@y.org", "body": ""})

    return lambda n: watch.decide(specs[n % RULES], {"to": values[n % 4], "body": f"See you, number {n}. Yours"})


def trivial(watch: Watch) -> Callable[[int], Any]:
    read = spec("files.read", read_only=True)
    watch.decide(read, {"path": "a"})
    return lambda n: watch.decide(read, {"path": f"notes/{n}.md"})


def cedar() -> Callable[[int], Any]:
    import cedarpy  # noqa: PLC0415

    def rule(n: int) -> str:
        effect, action = "forbid" if n % 3 == 2 else "permit", f"{SERVERS[n % 5]}.act{n % 20}"
        when = f'["a{n}@firm.org", "b{n}@firm.org"].contains(context.to)'
        return f'{effect}(principal, action == Action::"{action}", resource) when {{ {when} }};'

    parsed = cedarpy.PolicySet.from_str("\n".join(map(rule, range(RULES))))
    nothing = cedarpy.Entities.from_json_str("[]")

    def decide(n: int) -> Any:
        request = {
            "principal": 'User::"me"',
            "action": f'Action::"{SERVERS[n % 5]}.act{n % 20}"',
            "resource": 'Tool::"x"',
            "context": {"to": "a7@firm.org"},
        }
        return cedarpy.is_authorized(request, parsed, nothing)

    return decide


def casbin(folder: Path) -> Callable[[int], Any]:
    import casbin as library  # noqa: PLC0415

    (folder / "model.conf").write_text(
        "[request_definition]\nr = tool, to\n[policy_definition]\np = tool, to, eft\n"
        "[policy_effect]\ne = some(where (p.eft == allow)) && !some(where (p.eft == deny))\n"
        "[matchers]\nm = r.tool == p.tool && r.to == p.to\n"
    )
    rows = (
        f"p, {SERVERS[n % 5]}.act{n % 20}, {who}{n}@firm.org, {'deny' if n % 3 == 2 else 'allow'}"
        for n in range(RULES)
        for who in "ab"
    )
    (folder / "policy.csv").write_text("\n".join(rows))
    enforcer = library.Enforcer(str(folder / "model.conf"), str(folder / "policy.csv"))
    return lambda n: enforcer.enforce(f"{SERVERS[n % 5]}.act{n % 20}", "a7@firm.org")


def main() -> None:
    print(f"one decision, microseconds of CPU ({RULES} rules, {ROUNDS} decisions)   median      p95      max")
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = policy_file(folder)
        started = time.process_time()
        read_layer(path, "user")
        loading = (time.process_time() - started) * 1000
        watch = a_long_run(Policy.load(path))
        rows = {f"with provenance, after {CALLS} calls": ours(watch), "trivial: a built-in reader": trivial(watch)}
        rows["trivial, nothing read"] = trivial(Policy.preset("ask").watch())
        if find_spec("cedarpy"):
            rows["cedarpy, no provenance, no ask"] = cedar()

        if find_spec("casbin"):
            rows["casbin, no provenance, no ask"] = casbin(folder)

        for title, decide in rows.items():
            median, p95, longest = timed(decide)
            print(f"  {title:55} {median:12.1f} {p95:8.1f} {longest:8.1f}")

    print(f"loading {RULES} rules with {2 * RULES} examples: {loading:.1f} ms of CPU")


if __name__ == "__main__":
    main()
