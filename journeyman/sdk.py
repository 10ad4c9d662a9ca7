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

import atexit
import inspect
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any, Self, TypeVar, cast, overload

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from pydantic import TypeAdapter

from journeyman.agent.budget import Limits
from journeyman.agent.instructions import DEFAULT
from journeyman.agent.models.found import find_spec
from journeyman.agent.models.model import Model, Sampling
from journeyman.agent.models.spec import Engine, make_model
from journeyman.agent.outfit import builtins
from journeyman.agent.parts import Approver, nobody
from journeyman.agent.run import Listener
from journeyman.agent.runtime import Runtime
from journeyman.agent.session import Order, Result
from journeyman.config import load_settings
from journeyman.errors import JourneymanError, UsageError
from journeyman.policies.policy import Policy
from journeyman.tools.catalog import Catalog
from journeyman.tools.function import tool as make_tool
from journeyman.tools.mcp_json import targets
from journeyman.tools.target import Builtin, Command, Target, Url, target
from journeyman.tools.tool import Tool
from journeyman.traces.events import ApprovalAnswered, ApprovalRequested, Event
from journeyman.traces.store import Store

T = TypeVar("T")
Source = Tool | Target | Callable[..., Any] | str | Sequence[Target]
Approve = Callable[[ApprovalRequested], Any]
"""Answers a question of the policy: True, False, a reason to refuse, or the arguments to call with instead."""


class Agent:
    """A model with tools under a policy.

    Args:
        model: a spec string (`local:starter`, `http://127.0.0.1:8080/v1#NAME`, ...) or a model; from the settings by
            default.
        tools: functions, `mcp(...)` servers, names of the built-in servers; by default the built-in servers.
        policy: what may be called; by default what the settings and policy files say, where your own functions are
            allowed.
        approve: answers what the policy asks about; without it such calls are refused.
        instructions: the system prompt.
        root: the folder the built-in servers work in; the current one by default.
        limits: what a run may spend.
        sampling: temperature and the like.
        timeout: seconds until a run is stopped.
        store: the trace store; from the settings by default.
    """

    def __init__(
        self,
        model: str | Model | None = None,
        *,
        tools: Iterable[Source] | None = None,
        policy: Policy | None = None,
        approve: Approve | None = None,
        instructions: str = DEFAULT,
        root: str | Path | None = None,
        limits: Limits | None = None,
        sampling: Sampling | None = None,
        timeout: float | None = None,
        store: Store | str | Path | None = None,
    ) -> None:
        self._settings = load_settings(root=Path(root) if root is not None else None)
        self._model = model or self._settings.model
        self._root = self._settings.root.expanduser().absolute()
        self._sources = _sources(builtins(self._root) if tools is None else tools, self._root)
        policy = policy or Policy.assemble(self._settings.policy, project=self._root)
        self._policy = policy.within(self._root)
        self._approver = _approver(approve)
        self._order = Order(
            prompt="",
            instructions=instructions,
            limits=limits or Limits(),
            sampling=sampling or Sampling(),
            timeout=timeout,
            root=str(self._root),
        )
        self._store = store
        self.opened: Runtime | None = None
        """While `async with agent` lasts."""
        self._stack = ExitStack()
        self._background: tuple[BlockingPortal, Runtime] | None = None

    @overload
    def __call__(self, prompt: str) -> Result: ...
    @overload
    def __call__(self, prompt: str, *, returns: type[T]) -> T: ...
    def __call__(self, prompt: str, *, returns: Any = None) -> Any:
        """Run a prompt and wait for it; the same as `run`, from anywhere."""
        portal, runtime = self.in_background()
        return portal.call(self.go, runtime, prompt, returns, ())

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
            return await self.go(runtime, prompt, returns, ())

    def stream(self, prompt: str) -> "Stream":
        """Run a prompt and hear of everything that happens, as it happens; the last event is `run_finished`."""
        return Stream(self, prompt)

    async def __aenter__(self) -> Self:
        runtime = await self._runtime()
        self.opened = await runtime.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        runtime, self.opened = self.opened, None
        if runtime is not None:
            await runtime.__aexit__(*error)

    def close(self) -> None:
        """Close what sync calls have kept open."""
        atexit.unregister(self.close)
        self._background = None
        self._stack.close()

    async def _runtime(self) -> Runtime:
        model = self._model or await find_spec()
        if isinstance(model, str):
            model = make_model(model, Engine(threads=self._settings.threads))

        if not isinstance(self._store, Store):
            self._store = Store.open(self._store or self._settings.store, durable=self._settings.durable)

        return Runtime(model, Catalog(self._sources), self._policy, self._store)

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[Runtime, None]:
        if self.opened is not None:
            yield self.opened
            return

        async with await self._runtime() as runtime:
            yield runtime

    def in_background(self) -> tuple[BlockingPortal, Runtime]:
        if self._background is None:
            portal = self._stack.enter_context(start_blocking_portal())
            opened: AbstractContextManager[Runtime] = portal.wrap_async_context_manager(portal.call(self._runtime))
            self._background = portal, self._stack.enter_context(opened)
            atexit.register(self.close)

        return self._background

    async def go(self, runtime: Runtime, prompt: str, returns: Any, listeners: Sequence[Listener]) -> Any:
        adapter = TypeAdapter(returns) if returns is not None else None
        order = replace(self._order, prompt=prompt, returns=adapter.json_schema() if adapter else None)
        result = await runtime.run(order, approver=self._approver, listeners=listeners)
        if result.error is not None:
            raise result.error

        return adapter.validate_json(result.answer or "") if adapter else result


class Stream:
    """The events of one run: iterate it, with `for` or with `async for`. Leaving early ends the run.

    `async for` runs in your own event loop where the agent is entered (`async with agent`), else in the background.
    """

    def __init__(self, agent: Agent, prompt: str) -> None:
        self._agent = agent
        self._prompt = prompt

    def __iter__(self) -> Iterator[Event]:
        portal, runtime = self._agent.in_background()
        events = portal.call(self._start, runtime)
        try:
            while (event := portal.call(events.next)) is not None:
                yield event
        finally:
            portal.call(events.close)

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        if self._agent.opened is None:
            events = iter(self)
            while (event := await anyio.to_thread.run_sync(next, events, None)) is not None:
                yield event

            return

        events = await self._start(self._agent.opened)
        try:
            while (event := await events.next()) is not None:
                yield event
        finally:
            await events.close()

    async def _start(self, runtime: Runtime) -> "_Events":
        events = _Events()

        async def produce() -> None:
            with events.scope, events.send:
                try:
                    await self._agent.go(runtime, self._prompt, None, [events.hear])
                except JourneymanError as error:
                    events.error = error

        runtime.spawn(produce)
        return events


class _Events:
    """The receiving end of a run that goes on in a task of the runtime's."""

    def __init__(self) -> None:
        self.send, self._receive = anyio.create_memory_object_stream[Event](inf)
        self.scope = anyio.CancelScope()
        self.error: JourneymanError | None = None

    def hear(self, event: Event) -> None:
        with suppress(anyio.BrokenResourceError):  # nobody listens any more; the run still writes its end
            self.send.send_nowait(event)

    async def next(self) -> Event | None:
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            if self.error is not None:
                raise self.error from None

            return None

    async def close(self) -> None:
        self.scope.cancel()
        self._receive.close()


class _Mcp:
    """Names a server; see `mcp`."""

    def __call__(self, command_or_url: str, *, name: str | None = None, env: Mapping[str, str] | None = None) -> Target:
        """A server by its command (`uvx mcp-server-time`) or URL; nothing is started before a run.

        Raises:
            ConfigError: it is neither, or the name will not do.
        """
        found = target(command_or_url, name)
        return Command(found.name, found.command, dict(env)) if env and isinstance(found, Command) else found

    def json(self, path: str | Path) -> Sequence[Target]:
        """Every server of a `.mcp.json` file, which you thereby trust.

        Raises:
            ConfigError: the file is not right.
        """
        return targets(Path(path))


mcp = _Mcp()


def _sources(tools: Iterable[Source], root: Path) -> list[Tool | Target]:
    sources: list[Tool | Target] = []
    for each in tools:
        if isinstance(each, str):
            sources += builtins(root, [each])
        elif isinstance(each, Builtin | Command | Url):
            sources.append(each)
        elif isinstance(each, Sequence):
            sources += each
        elif hasattr(each, "spec"):
            sources.append(cast("Tool", each))
        elif callable(each):
            sources.append(make_tool(each))
        else:
            raise UsageError(f"{each!r} is no tool.", fix="Give functions, mcp(...) servers, or names such as 'files'.")

    return sources


def _approver(approve: Approve | None) -> Approver:
    if approve is None:
        return nobody

    async def ask(request: ApprovalRequested) -> ApprovalAnswered:
        answer = approve(request)
        answer = await answer if inspect.isawaitable(answer) else answer
        if isinstance(answer, ApprovalAnswered):
            return answer

        fields = {"arguments": answer} if isinstance(answer, Mapping) else {}
        reason = answer if isinstance(answer, str) else ""
        approved = bool(answer) and not reason
        return ApprovalAnswered(call_id=request.call_id, approved=approved, by="callback", reason=reason, **fields)

    return ask
