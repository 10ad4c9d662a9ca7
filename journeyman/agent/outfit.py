"""From settings to a runtime: which model, which tools, which policy, which store."""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from journeyman.agent.budget import Limits
from journeyman.agent.models.found import find_spec, unused_keys
from journeyman.agent.models.model import Model
from journeyman.agent.models.spec import Engine, make_model
from journeyman.agent.runtime import Runtime
from journeyman.agent.strategies.strategy import PARALLEL, Strategy
from journeyman.config import Settings
from journeyman.errors import ConfigError
from journeyman.mcp_servers.registry import SERVERS, WEB
from journeyman.policies.policy import Policy
from journeyman.sandbox.egress import Egress
from journeyman.sandbox.paths import demand_folder
from journeyman.tools.catalog import Catalog
from journeyman.tools.mcp_json import servers
from journeyman.tools.pins import Pins
from journeyman.tools.target import Builtin, Target
from journeyman.tools.tool import Tool
from journeyman.traces.events import RunStarted
from journeyman.traces.export.live import Sender
from journeyman.traces.store import Store
from journeyman.veil import PLACEHOLDER


@dataclass(frozen=True, slots=True)
class Rules:
    """What this run's flags say, on top of the policy."""

    allow: Sequence[str] = ()
    ask: Sequence[str] = ()
    deny: Sequence[str] = ()
    share: Sequence[str] = ()
    scope: Sequence[str] = ()


async def outfit(
    settings: Settings,
    rules: Rules,
    notices: list[str],
    *,
    resume: str | None = None,
    extra: Sequence[Target] = (),
    strategy: Strategy | None = None,
    without: Collection[str] = (),
    make: Callable[[str, Engine], Model] = make_model,
) -> Runtime:
    """The runtime a command line means. What was left out, and why, is added to `notices`.

    `extra` are servers beside those of the settings, which give way to one of the same name; `strategy` is
    what runs will be made by; `without` names servers to leave out, and `make` makes the model of a spec.

    A run that is resumed keeps its own model and folder where the command line names no others.

    Raises:
        ConfigError, PolicyError, StoreError: a setting, a policy or the store will not do.
        ModelNotFound: the model's spec names nothing that can be had.
        UsageError: there is no run to resume.
    """
    async with AsyncExitStack() as failed:
        store = Store.open(settings.store, durable=settings.durable)
        failed.callback(store.close)
        if resume:
            settings = _as_it_was(settings, store, resume)

        root = working_folder(settings)
        found = servers(root)
        notices += [*settings.notices, *found.notices]
        policy = policy_for(settings, root, rules=rules)
        notices += [
            f"{layer.origin} is not trusted: its rules can only tighten. Read it, then: journeyman config trust"
            for layer in policy.layers
            if not layer.trusted
        ]
        if settings.model is None:
            notices += unused_keys()

        names = {each.name for each in extra}
        targets = [*extra, *(each for each in found.targets if each.name not in names)]
        tools = [each for each in (*tools_of(settings, root), *targets) if getattr(each, "name", "") not in without]
        catalog = Catalog(tools, pins=Pins.of_user())
        specs = [settings.model or await find_spec(), *(strategy.models if strategy else ())]
        width = min(strategy.width, PARALLEL) if strategy else 1
        engine = Engine(threads=settings.threads, context=settings.context, parallel=width)
        models: list[Model] = []
        for spec in specs:
            models.append(make(spec, engine))
            failed.push_async_callback(models[-1].close)

        others = dict(zip(specs[1:], models[1:], strict=True))
        more = {"secrets": settings.secrets, "ended": sender(settings), "others": others}
        runtime = Runtime(models[0], catalog, policy, store, **more)
        failed.pop_all()

    return runtime


def policy_for(settings: Settings, root: Path, *, setting: str = "", rules: Rules | None = None) -> Policy:
    """The policy of a run in this folder: that of the settings, or `setting` in its place.

    Raises:
        ConfigError, PolicyError: a setting or a policy will not do.
    """
    policy = Policy.assemble(setting or settings.policy, project=root, **asdict(rules or Rules()))
    return reaching(policy, settings.sandbox_hosts).within(root)


def reaching(policy: Policy, hosts: Sequence[str]) -> Policy:
    """The policy for code that may reach these hosts: what runs there may carry off what it is given.

    Raises:
        ConfigError: they make no sense.
    """
    if not hosts:
        return policy

    Egress(hosts)
    return policy.label("code.*", does=["internal", "external"], data=["code", "command"], private=True)


def sender(settings: Settings) -> Sender | None:
    """Who sends runs as they end, where that is wanted; one for the whole process."""
    return _sender(settings.otel_endpoint) if settings.otel_endpoint else None


_sender = cache(Sender)


def _as_it_was(settings: Settings, store: Store, run: str) -> Settings:
    started = next(store.own_events(store.resolve(run))).event
    if not isinstance(started, RunStarted):
        return settings

    was = {"model": started.model, "root": Path(started.root or ".")}
    if PLACEHOLDER.search(started.model) and settings.origin("model") != "--model":
        raise ConfigError("The address of the run's model has a password, which is not stored.", fix="--model SPEC")

    return settings.model_copy(update={k: v for k, v in was.items() if settings.origin(k) != f"--{k}"})


def builtins(root: Path, names: Iterable[str] = SERVERS) -> list[Tool | Target]:
    """Our servers, with their basic tools."""
    return [Builtin(name, root) for name in names]


def tools_of(settings: Settings, root: Path) -> list[Tool | Target]:
    """Our servers with all their tools, and the web where it is wanted."""
    ours: list[Tool | Target] = [
        Builtin(name, root, settings.sandbox, settings.sandbox_hosts, full=True) for name in SERVERS
    ]
    return [*ours, Builtin(WEB, root, full=True, provider=settings.web)] if settings.web else ours


def limits(settings: Settings) -> Limits:
    return Limits(steps=settings.steps, tokens=settings.tokens, seconds=settings.seconds, usd=settings.usd)


def working_folder(settings: Settings) -> Path:
    """The folder the tools work in.

    Raises:
        UsageError: it is no folder.
    """
    root = settings.root.expanduser().absolute()
    demand_folder(root)
    return root
