"""What runs share: a model, tools, a policy and a store, opened once and used by any number of runs.

    async with Runtime(model, catalog, policy, store) as runtime:
        result = await runtime.run(Order("How many lines does notes.txt have?"), approver=ask_me)

The model starts loading before the tools are connected, so that one does not wait for the other.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self, TypedDict, Unpack

import anyio
from anyio.abc import TaskGroup
from pydantic import JsonValue

from journeyman.agent.models.model import Model
from journeyman.agent.order import Order, Result
from journeyman.agent.own import shell_of
from journeyman.agent.parts import Approver, Toolbox, WithOwn, nobody
from journeyman.agent.run import Listener
from journeyman.agent.session import Crew, execute, fork, resume
from journeyman.agent.veiled import veil_of
from journeyman.errors import UsageError
from journeyman.home import state_dir
from journeyman.policies.approvals import Book
from journeyman.policies.policy import Policy
from journeyman.tools.catalog import Catalog
from journeyman.traces.events import RunStarted
from journeyman.traces.store import Store, new_run_id
from journeyman.traces.writer import Recorder, Stored, Watch

TOOLS_FOR_A_SMALL_MODEL = 12
"""More than these are not offered to a small model; those that have most to do with the prompt are."""


Ended = Callable[[Sequence[Stored]], None]


class There(TypedDict, total=False):
    """Who is there while a run is made."""

    approver: Approver
    """Answers what the policy asks about; by default nobody."""
    listeners: Sequence[Listener]
    """Hear each event as it happens."""
    watch: Watch | None
    """Is told of each event as it is stored."""


class Runtime:
    """Enter and leave it in one task; runs may be made from any task in between."""

    def __init__(
        self,
        model: Model,
        catalog: Catalog,
        policy: Policy,
        store: Store,
        *,
        secrets: Sequence[str] = (),
        ended: Ended | None = None,
        others: Mapping[str, Model] | None = None,
    ) -> None:
        """`secrets` as in the settings; `ended` is told of each run that has ended and must not take long over it;
        `others` are the models beside its own that strategies ask, by their specs.

        Raises:
            ConfigError: one of the secrets cannot be had.
        """
        self.model = model
        self.others = others or {}
        self.catalog = catalog
        self.policy = policy
        self.store = store
        self.veil = veil_of(secrets, catalog.variables)
        self.ended = ended
        self.book = Book(state_dir() / "approvals.json")
        self.sandbox: Mapping[str, JsonValue] = {}
        self._stack = AsyncExitStack()
        self._group: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        try:
            if (start := getattr(self.model, "start", None)) is not None:
                start()  # in a process of its own: nothing here waits for it

            await self._stack.enter_async_context(self.catalog)
            self.sandbox = await _sandbox(self.catalog.sandbox)
            self._group = await self._stack.enter_async_context(anyio.create_task_group())
        except BaseException:
            await self.__aexit__()
            raise

        return self

    async def __aexit__(self, *error: object) -> None:
        if self._group is not None:
            self._group.cancel_scope.cancel()

        try:
            await self._stack.aclose()
        finally:
            with anyio.CancelScope(shield=True):
                for model in (self.model, *self.others.values()):
                    await model.close()

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do something in a task that ends with the runtime at the latest."""
        if self._group is None:
            raise UsageError("The runtime is not open.", fix="async with runtime: ...")

        self._group.start_soon(work)

    async def run(self, order: Order, *, run_id: str | None = None, **there: Unpack[There]) -> Result:
        """Start a run and see it to its end. A failure of the run is in `Result.error`.

        `run_id` names it; drawn by default.

        Raises:
            ModelError: the model cannot be had; no run was started.
            StoreError: the run cannot be stored; no run was started.
        """
        await self.model.open()
        crew = self._crew(order, order.prompt, self._recorder(run_id or new_run_id(), (), there), there)
        if order.strategy is None:
            return await execute(order, crew)

        order.strategy.needs(order, self.model.capabilities)
        if order.strategy.single:
            return await execute(order.strategy.order(order), crew)

        from journeyman.agent.strategies.search import Search  # noqa: PLC0415 - few runs are searches

        return await Search(self, order, crew).run()

    async def resume(self, run_id: str, order: Order, **there: Unpack[There]) -> Result:
        """Go on with a stored run; `order.prompt`, if any, is what the user says next.

        Raises:
            UsageError: there is no such run, or it has answered and nothing new was said.
            ModelError, StoreError: as in `run`.
        """
        await self.model.open()  # only then is known what it needs
        run_id = self._believed(self.store.resolve(run_id))
        stored = list(self.store.events(run_id))
        recorder = self._recorder(run_id, stored, there, seq=stored[-1].seq)
        crew = self._crew(order, _prompt(stored[0].event), recorder, there)
        return await resume([each.event for each in stored], order, crew)

    async def fork(
        self,
        run_id: str,
        step: int | None,
        order: Order,
        *,
        shared: int | None = None,
        as_run: str | None = None,
        **there: Unpack[There],
    ) -> Result:
        """Do a stored run over from a step on, as a run of its own that shares what came before.

        Without a step it shares the first `shared` events. `as_run` names the new run; drawn by default.

        Raises:
            UsageError: there is no such run, or it has no such step.
            ModelError, StoreError: as in `run`.
        """
        await self.model.open()
        whole = list(self.store.events(self.store.resolve(run_id)))
        stem = whole[:shared] if step is None else before(whole, step)
        recorder = self._recorder(as_run or new_run_id(), stem, there)
        crew = self._crew(order, _prompt(stem[0].event), recorder, there)
        last = stem[-1]
        return await fork([each.event for each in stem], order, crew, parent=last.run_id, parent_seq=last.seq)

    def _believed(self, run_id: str) -> str:
        """The run itself; of a search the one that it chose.

        Raises:
            UsageError: it has chosen none.
        """
        events = [each.event for each in self.store.own_events(run_id)]
        chosen = next((event.run_id for event in events if event.type == "candidate_chosen"), None)
        if chosen is None and any(event.type == "candidate_tried" for event in events):
            raise UsageError(
                f"The run {run_id} is a search that chose no candidate: there is nothing to go on from.",
                fix="Ask again, or go on with a candidate: journeyman traces show names them.",
            )

        return chosen or run_id

    def recorder(self, before: Sequence[Stored] = (), watch: Watch | None = None) -> Recorder:
        """For another run, which has `before` in common with an earlier one."""
        return self._recorder(new_run_id(), before, {"watch": watch})

    def _recorder(self, run_id: str, before: Sequence[Stored], there: There, seq: int = 0) -> Recorder:
        watch = there.get("watch")
        watch = _Until(self.ended, list(before), watch) if self.ended else watch
        return self.store.recorder(run_id, seq=seq, watch=watch)

    def _toolbox(self, prompt: str, order: Order) -> Toolbox:
        small = self.model.capabilities.small
        chosen = self.catalog.choose(prompt, TOOLS_FOR_A_SMALL_MODEL) if small else self.catalog
        shell = shell_of(self.catalog) if order.command else None
        return WithOwn(chosen, [shell]) if shell and not shell_of(chosen) else chosen

    def _crew(self, order: Order, prompt: str, recorder: Recorder, there: There) -> Crew:
        return Crew(
            model=self.model,
            toolbox=self._toolbox(prompt, order),
            policy=self.policy,
            recorder=recorder,
            run_id=recorder.run_id,
            approver=there.get("approver", nobody),
            listeners=there.get("listeners", ()),
            book=self.book,
            policy_info={"name": self.policy.name, "digest": self.policy.digest, "text": self.policy.text},
            sandbox=self.sandbox,
            veil=self.veil,
        )


async def _sandbox(backend: str | None) -> Mapping[str, JsonValue]:
    """What is to be told in a trace of where code will run."""
    if backend is None:
        return {}

    from journeyman.sandbox.select import asked, chosen  # noqa: PLC0415 - only where there is code to run

    probe = await chosen(asked(backend))
    return {} if probe is None else probe.model_dump(mode="json", exclude={"available", "fix"})


class _Until:
    """Watches a run to its end, and keeps its events for whoever wants them then."""

    def __init__(self, ended: Ended, kept: list[Stored], watch: Watch | None) -> None:
        self._ended = ended
        self._kept = kept
        self._watch = watch

    def __call__(self, stored: Stored) -> None:
        self._kept.append(stored)
        if self._watch is not None:
            self._watch(stored)

        if stored.event.type == "run_finished":
            self._ended(self._kept)


def before(run: Sequence[Stored], step: int) -> Sequence[Stored]:
    """A run's events up to where the model was asked for a step.

    Raises:
        UsageError: it never was.
    """
    for at, each in enumerate(run):
        if each.event.type == "model_requested" and each.event.step == step:
            return run[:at]

    steps = [each.event.step for each in run if each.event.type == "model_requested"]
    message = f"The run {run[-1].run_id} has no step {step}: it has {f'1 to {max(steps)}' if steps else 'none'}."
    raise UsageError(message, fix=f"journeyman traces show {run[-1].run_id}")


def _prompt(event: object) -> str:
    return event.prompt if isinstance(event, RunStarted) else ""
