"""The Python face: a thin object over the runtime.

    agent = Agent(tools=[add, mcp("uvx mcp-server-time")], policy=Policy.allow("add").ask("time.*"))
    print(agent("2+3?"))                                # sync, also where an event loop is running
    result = await agent.run("2+3?")                    # the same, async; on asyncio or trio
    for event in agent.stream("2+3?"): ...              # events as they happen; `async for` too
    value = agent("2+3?", returns=int)                  # typed

`async with agent:` keeps the model and the servers open for many runs in one event loop. Without it an async run opens
and closes them itself, and the sync calls keep them open in a background thread until `agent.close()` or the end of the
program.
"""

import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

from journeyman.agent.budget import Limits
from journeyman.agent.instructions import DEFAULT
from journeyman.agent.models.found import find_spec
from journeyman.agent.models.model import Model, Sampling
from journeyman.agent.models.spec import Engine, make_model
from journeyman.agent.order import Order, Result
from journeyman.agent.outfit import limits as limits_of
from journeyman.agent.outfit import reaching, sender, tools_of, working_folder
from journeyman.agent.run import Listener
from journeyman.agent.runtime import Runtime
from journeyman.agent.strategies.strategy import PARALLEL, Strategy
from journeyman.background import Background
from journeyman.config import Effort, Think, load_settings
from journeyman.errors import UsageError
from journeyman.given import Approve, Source, adapter_of, approver_of, expect, prompt_of, sampling_of, sources_of
from journeyman.policies.policy import Policy
from journeyman.stream import Stream
from journeyman.tools.catalog import Catalog
from journeyman.tools.mcp_json import confined, targets
from journeyman.tools.pins import Pins
from journeyman.tools.target import Builtin, Command, Target, target
from journeyman.traces.store import Store

if TYPE_CHECKING:
    from journeyman.group import Group, Verify
    from journeyman.verifiers.case import Case
    from journeyman.verifiers.score import Score

T = TypeVar("T")


class Agent:
    """A model with tools under a policy.

    Args:
        model: a spec string (`local:starter`, `http://127.0.0.1:8080/v1#NAME`, ...) or a model; from the settings by
            default.
        tools: functions, `mcp(...)` servers, names of the built-in servers; by default the built-in servers.
        policy: what may be called, or the name of a preset or a file that says it; by default what the settings and
            policy files say, where your own functions are allowed.
        approve: answers what the policy asks about; without it such calls are refused.
        instructions: the system prompt; a short one by default.
        root: the folder the built-in servers work in; the current one by default.
        limits: what a run may spend; what the settings say by default.
        sampling: temperature and the like.
        thinking: "off", "auto" (as the model does it by itself), "on", or tokens it may take; nothing that a tool says
            changes it.
        effort: "minimal", "low", "medium", "high", "xhigh" or "max".
        strategy: how more thinking is spent than one plain run: "vote(8)", "best(4, by=judge)", "refine",
            "route(plain, vote(5))" ...; each candidate is a run of its own, and the result names the chosen one.
        verify: whether a candidate's result is right, for strategies that ask (`best(4, by=verifier)`): True or False,
            or a number between 0 and 1.
        timeout: seconds until a run is stopped.
        store: the trace store; from the settings by default.

    Raises:
        UsageError: something among the tools is none.
        ConfigError: the settings, the policy or the folder will not do.

    Warns:
        UserWarning: a server or tool is left out, or a setting; once for each.
    """

    def __init__(
        self,
        model: str | Model | None = None,
        *,
        tools: Iterable[Source] | None = None,
        policy: Policy | str | None = None,
        approve: Approve | None = None,
        instructions: str | None = None,
        root: str | Path | None = None,
        limits: Limits | None = None,
        sampling: Sampling | None = None,
        thinking: Think | None = None,
        effort: Effort | None = None,
        strategy: Strategy | str | None = None,
        verify: "Verify | None" = None,
        timeout: float | None = None,
        store: Store | str | Path | None = None,
    ) -> None:
        self._settings = load_settings(root=Path(root) if root is not None else None, think=thinking, effort=effort)
        if not (model is None or isinstance(model, str) or hasattr(model, "respond")):
            raise UsageError(f"model={model!r} is no model.", fix='Write model="local:starter", or give a Model.')

        expect(str, instructions=instructions)
        expect(Limits, limits=limits)
        expect(Sampling, sampling=sampling)
        if timeout is not None and not timeout > 0:
            raise UsageError(f"timeout={timeout!r} is no time.", fix="Give seconds, more than 0; None for no limit.")

        self._model = self._settings.model if model is None else model
        self._root = working_folder(self._settings)
        self._sources = sources_of(tools_of(self._settings, self._root) if tools is None else tools, self._root)
        if not isinstance(policy, Policy):
            policy = Policy.assemble(policy or self._settings.policy, project=self._root)

        hosts = [host for each in self._sources if isinstance(each, Builtin) for host in each.hosts]
        self._policy = reaching(policy, hosts).within(self._root)
        self._approver = approver_of(approve)
        self._sampled = sampling is not None
        self._order = Order(
            prompt="",
            instructions=DEFAULT if instructions is None else instructions,
            limits=limits or limits_of(self._settings),
            sampling=sampling_of(sampling or Sampling(), self._settings),
            strategy=_strategy(strategy) if isinstance(strategy, str) else strategy,
            verify=_verifier(verify) if verify else None,
            timeout=timeout,
            root=str(self._root),
            context=self._settings.context,
            compact_at=self._settings.compact_at,
            programs=self._settings.programs,
        )
        self._store = store
        self._told: set[str] = set()
        self._tell(self._settings.notices)
        self._entered: Runtime | None = None
        self._stack = AsyncExitStack()
        self._background = Background(self._fresh)

    @overload
    def __call__(self, prompt: str) -> Result: ...
    @overload
    def __call__(self, prompt: str, *, returns: type[T]) -> T: ...
    def __call__(self, prompt: str, *, returns: Any = None) -> Any:
        """Run a prompt and wait for it; the same as `run`, from anywhere."""
        there = self._background.open()
        return there.call(self._go, there.runtime, prompt, returns, ())

    @overload
    async def run(self, prompt: str) -> Result: ...
    @overload
    async def run(self, prompt: str, *, returns: type[T]) -> T: ...
    async def run(self, prompt: str, *, returns: Any = None) -> Any:
        """Run a prompt to its answer; with `returns`, the answer as a value of that type.

        Raises:
            JourneymanError: the run did not come to an answer; `run_id` names its trace.
        """
        async with self._opened() as runtime:
            return await self._go(runtime, prompt, returns, ())

    def rollouts(self, prompt: str, *, n: int = 8, verify: "Verify") -> "Group":
        """Run a prompt `n` times, judge each run, and return them as a group; for training the model on what worked.

        Args:
            prompt: the same for all of them.
            n: how many; eight are under way at once.
            verify: judges a run: True, False, a number from 0 to 1, or None where it cannot tell.

        Raises:
            UsageError: there is no prompt, or `n` is less than 1.
            ModelError, StoreError: there is no model or no store to run with.
        """
        there = self._background.open()
        return there.call(self._practise, there.runtime, prompt, n, verify)

    async def practise(self, prompt: str, *, n: int = 8, verify: "Verify") -> "Group":
        """The same as `rollouts`, async."""
        async with self._opened() as runtime:
            return await self._practise(runtime, prompt, n, verify)

    def stream(self, prompt: str) -> Stream:
        """Run a prompt and hear of everything that happens, as it happens; the last event is `run_finished`."""
        return Stream(
            lambda runtime, listeners: self._go(runtime, prompt, None, listeners),
            lambda: self._entered,
            self._background.open,
        )

    async def __aenter__(self) -> Self:
        self._entered = await self._stack.enter_async_context(self._fresh())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._entered = None
        await self._stack.aclose()

    def close(self) -> None:
        """Close what sync calls have kept open."""
        self._background.close()

    @asynccontextmanager
    async def _fresh(self) -> AsyncGenerator[Runtime, None]:
        """A runtime of its own, which ends with all that was opened for it."""
        model = await find_spec() if self._model is None else self._model
        how, engine = self._order.strategy, self._engine()
        if isinstance(model, str):
            model = make_model(model, engine)

        store = self._store
        opened = (
            store
            if isinstance(store, Store)
            else Store.open(store or self._settings.store, durable=self._settings.durable)
        )
        try:
            others = {spec: make_model(spec, engine) for spec in how.models} if how else {}
            more = {"secrets": self._settings.secrets, "ended": sender(self._settings), "others": others}
            async with Runtime(
                model, Catalog(self._sources, pins=Pins.of_user()), self._policy, opened, **more
            ) as runtime:
                self._tell(problem.line for problem in runtime.catalog.problems)
                yield runtime
        finally:
            if opened is not store:
                opened.close()

    def _engine(self) -> Engine:
        width = self._order.strategy.width if self._order.strategy else 1
        return Engine(threads=self._settings.threads, context=self._settings.context, parallel=min(width, PARALLEL))

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[Runtime, None]:
        if self._entered is not None:
            yield self._entered
            return

        async with self._fresh() as runtime:
            yield runtime

    def _tell(self, problems: Iterable[str]) -> None:
        for problem in problems:
            if problem not in self._told:
                self._told.add(problem)
                warnings.warn(problem, stacklevel=3)

    async def _go(self, runtime: Runtime, prompt: str, returns: Any, listeners: Sequence[Listener]) -> Any:
        adapter = adapter_of(returns) if returns is not None else None
        order = replace(self._order, prompt=prompt_of(prompt), returns=adapter.json_schema() if adapter else None)
        result = await runtime.run(order, approver=self._approver, listeners=listeners)
        if result.error is not None:
            raise result.error

        return adapter.validate_json(result.answer or "") if adapter else result

    async def _practise(self, runtime: Runtime, prompt: str, n: int, verify: "Verify") -> "Group":
        from journeyman.group import Group, practise  # noqa: PLC0415 - only here: it brings the room of training
        from journeyman.training.rollout import ON_POLICY  # noqa: PLC0415

        if n < 1:
            raise UsageError(f"n={n} is no number of runs.", fix="Write n=8.")

        sampling = self._order.sampling
        if not self._sampled:
            sampling = ON_POLICY.model_copy(update={"think": sampling.think, "effort": sampling.effort})

        order = replace(self._order, prompt=prompt_of(prompt), sampling=sampling)
        name, attempts = await practise(runtime, order, n, verify, self._approver)
        return Group(name, tuple(attempts), self._store or self._settings.store)


class _Mcp:
    """Names a server; see `mcp`."""

    def __call__(
        self,
        command_or_url: str,
        *,
        name: str | None = None,
        env: Mapping[str, str] | None = None,
        sandbox: Mapping[str, Sequence[str]] | Literal["off"] | None = None,
    ) -> Target:
        """A server by its command (`uvx mcp-server-time`) or URL; nothing is started before a run.

        A command runs in the sandbox, where it sees its own installation and what the command names; `sandbox` lets it
        `read` and `write` other paths and reach `hosts`, or run outside ("off").

        Raises:
            ConfigError: it is neither, or the name will not do, or `sandbox` is not right.
        """
        found = target(command_or_url, name)
        if not isinstance(found, Command):
            return found

        return replace(found, env=dict(env or {}), sandbox=confined(sandbox or {}, Path.cwd()))

    def json(self, path: str | Path) -> Sequence[Target]:
        """Every server of a `.mcp.json` file, which you thereby trust.

        Raises:
            ConfigError: the file is not right.
        """
        return targets(Path(path))


mcp = _Mcp()


def _strategy(told: str) -> Strategy:
    from journeyman.agent.strategies.spec import strategy  # noqa: PLC0415 - few ask for one, and it brings them all

    return strategy(told)


def _verifier(verify: "Verify") -> "Callable[[Result, Case], Awaitable[Score]]":
    async def judged(result: Result, _case: "Case") -> "Score":
        from journeyman.group import judged as judge  # noqa: PLC0415 - only where somebody asks

        return await judge(verify, result)

    return judged
