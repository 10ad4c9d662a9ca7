"""A search: a run whose steps are runs. Its candidates are siblings, each with a trace of its own; it has one answer.

    run_started  (candidate_tried  candidate_scored*)*  candidate_chosen  run_finished

What they may spend is shared: every model call of every candidate counts against the one budget. Those that are not
needed any more are cancelled, like the calls they are in. When the budget is spent, the search chooses among what it
has; it fails only where there is nothing to choose from.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from journeyman.agent.budget import Budget
from journeyman.agent.loop import drive
from journeyman.agent.models.model import Capabilities
from journeyman.agent.parts import nobody
from journeyman.agent.run import Run
from journeyman.agent.session import Crew, Order, Result, execute, fork
from journeyman.agent.strategies.branch import Ground
from journeyman.agent.strategies.candidate import Candidate, Heard
from journeyman.agent.strategies.together import Together
from journeyman.errors import BudgetExceeded, JourneymanError, ModelError
from journeyman.tools.catalog import Toolbox as Tools
from journeyman.traces.events import (
    ApprovalAnswered,
    ApprovalRequested,
    CandidateChosen,
    CandidateScored,
    CandidateTried,
    Role,
    Sample,
)

if TYPE_CHECKING:
    from journeyman.agent.runtime import Runtime
    from journeyman.agent.strategies.strategy import Strategy

Enough = Callable[[Sequence[Candidate]], bool]
Then = Callable[[Candidate], Awaitable[Candidate]]
Make = Callable[[Order], Awaitable[Candidate]]


class Search:
    """One search, from its order to its result."""

    def __init__(self, runtime: "Runtime", order: Order, crew: Crew) -> None:
        """The order's strategy is what is to be done; `crew` is that of the search's own run."""
        self._runtime, self._order, self._crew = runtime, order, crew
        able = crew.model.capabilities
        self.able: Capabilities = able
        ables = [able, *(model.capabilities for model in runtime.others.values())]
        unpriced = not all(each.priced for each in ables)
        self._budget = Budget(order.limits, unpriced=unpriced, costs=any(each.remote for each in ables))
        self._indexes, self._asking = count(), anyio.Lock()
        self._run: Run | None = None
        self._together: Together | None = None
        """Where candidates begin alike and call nothing."""
        self._ground: Ground

    async def run(self) -> Result:
        """See it to its end.

        Raises:
            ModelError, StoreError: as in `execute`.
        """
        order = self._order
        with TemporaryDirectory(prefix="journeyman-", ignore_cleanup_errors=True) as scratch:
            self._ground = Ground(
                order.root, Path(scratch), self._runtime.catalog, self._crew.toolbox, self._runtime.policy.only_reads
            )
            await self._ground.survey()
            own = replace(order, plan=False, returns=None, check=None)
            return await execute(own, replace(self._crew, toolbox=Tools()), self._solve)

    async def _solve(self, run: Run) -> str:
        self._run = run
        order = replace(self._order, timeout=None, more=None, group=run.run_id, strategy=None)
        chosen = await _strategy(self._order).solve(self, order)
        if chosen.answer is None:
            raise self.nothing([chosen])

        applied, kept_back = await to_thread.run_sync(self._ground.apply, chosen.folder)
        if self._ground.held and not kept_back:
            held = ", ".join(sorted(self._ground.held))
            kept_back = f'held back in every candidate: {held} (label what only reads: does = "read")'

        run.emit(CandidateChosen(run_id=chosen.result.run_id, why=chosen.why, applied=applied, kept_back=kept_back))
        run.state.denied = chosen.result.denied
        return chosen.answer

    async def on(self, spec: str) -> "Search":
        """The same search, whose candidates are another model's.

        Raises:
            ModelError: it cannot be had.
        """
        there, model = copy(self), self._runtime.others[spec]
        await model.open()
        there._crew = replace(self._crew, model=model)  # noqa: SLF001 - it is one of us
        there.able, there._together = model.capabilities, None  # noqa: SLF001
        return there

    async def attempt(
        self,
        order: Order,
        by: "Strategy",
        *,
        role: Role = "candidate",
        of: Candidate | None = None,
        say: str = "",
        steps: int | None = None,
    ) -> Candidate:
        """One run, in a folder of its own.

        Args:
            order: what is asked.
            by: the strategy whose run it is.
            role: a revision goes on from `of`; a judgement is about it.
            of: another candidate.
            say: what a revision is told; by nobody whose word counts as the user's.
            steps: it may do; without an answer it can be gone on with then.

        Raises:
            ModelError, StoreError: there is no model or no store to go on with.
        """
        index, work = next(self._indexes), partial(drive, steps=steps)
        stem = [each for each in of.events if each.event.type != "run_finished"] if of and role == "revision" else []
        heard = Heard([*stem])
        recorder = self._runtime.recorder(stem, heard)
        order = replace(order, strategy=by, sample=_place(order, index))
        async with self._ground.branch(of.folder if of else None, stem, calls=role != "judgement") as (toolbox, folder):
            here = self._runtime.policy
            policy = here.within(folder, stands_for=Path(self._order.root)) if folder else self._crew.policy
            crew = replace(
                self._crew,
                model=self._together if self._together and role == "candidate" else self._crew.model,
                toolbox=toolbox,
                policy=policy,
                recorder=recorder,
                run_id=recorder.run_id,
                listeners=(),
                approver=nobody if self._crew.approver is nobody else self._one_at_a_time,
                budget=self._budget,
            )
            try:
                if stem:
                    last = stem[-1]
                    events = [each.event for each in stem]
                    again = replace(order, prompt=say, origin="model")
                    result = await fork(events, again, crew, parent=last.run_id, parent_seq=last.seq, work=work)
                else:
                    result = await execute(order, crew, work)
            finally:
                self._emit(heard.tried(recorder.run_id, index, str(by), role, of))

        state = await to_thread.run_sync(self._ground.state, folder) if folder else ""
        return Candidate(result, index, heard.events, folder, state)

    async def ask(
        self, order: Order, prompt: str, *, of: Candidate, returns: Mapping[str, Any] | None = None
    ) -> Candidate:
        """The model's word on a candidate, without tools and without chance."""
        from journeyman.agent.strategies.plain import Plain  # noqa: PLC0415 - it is a strategy of ours

        sampling = order.sampling.model_copy(update={"temperature": 0.0, "logprobs": False})
        asked = replace(order, prompt=prompt, instructions="", sampling=sampling, plan=False, origin="model")
        return await self.attempt(
            replace(asked, returns=returns, check=None, read=None), Plain(), role="judgement", of=of
        )

    async def many(
        self,
        make: Make,
        order: Order,
        n: int,
        *,
        temperature: float,
        enough: Enough | None = None,
        then: Then | None = None,
    ) -> list[Candidate]:
        """Up to `n` candidates, as many at once as the model takes, until they are `enough`; in their order.

        Each is drawn with some chance, at `temperature` where the order says none, and the next seed.
        """
        got: list[Candidate] = []
        failed: list[JourneymanError] = []
        numbers = iter(range(n))
        async with anyio.create_task_group() as tasks:

            async def work() -> None:
                for number in numbers:
                    try:
                        candidate = await make(_drawn(order, number, temperature))
                        got.append(await then(candidate) if then else candidate)
                    except JourneymanError as error:
                        failed.append(error)

                    if self._over(failed) or (got and enough and enough(got)):
                        tasks.cancel_scope.cancel()
                        return

            for _ in range(max(1, min(n, self.able.parallel))):
                tasks.start_soon(work)

        if failed and not got:
            raise failed[0]

        return sorted(got, key=lambda each: each.index)

    async def of_one_kind(self, of: "Strategy", order: Order, n: int, **more: Any) -> list[Candidate]:
        """As `many`, each by the same strategy; where that calls nothing, the prompt is read once for all."""
        if of.single and not self._crew.toolbox.specs and Together.can(self._crew.model, n):
            self._together = Together(self._crew.model, n)

        try:
            return await self.many(partial(of.solve, self), order, n, **more)
        finally:
            self._together = None

    def answered(self, tried: Sequence[Candidate]) -> list[Candidate]:
        """Those that gave an answer.

        Raises:
            JourneymanError: none did; why the last one did not.
        """
        answered = [each for each in tried if each.answer is not None]
        if not answered:
            raise self.nothing(tried)

        return answered

    def nothing(self, tried: Sequence[Candidate]) -> JourneymanError:
        """Why there is no answer."""
        if spent := self._budget.spent():
            return BudgetExceeded(
                f"{spent} No candidate had answered by then.", fix=f"Allow more: --max-{spent.what} {spent.more:g}"
            )

        errors = [each.result.error for each in reversed(tried) if each.result.error and not each.paused]
        error = errors[0] if errors else None
        return error or ModelError("No candidate answered.", fix="Ask in other words, or use a stronger model.")

    def judged(self, candidate: Candidate, score: float | None, why: str, by: str) -> Candidate:
        """The candidate with its score, which goes into the trace."""
        self._emit(CandidateScored(run_id=candidate.result.run_id, by=by, score=score, why=why))
        return candidate.found(score, why)

    @property
    def spent(self) -> bool:
        """Nothing of the budget is left, or nobody can tell; `nothing` says which."""
        try:
            return self._budget.spent() is not None
        except BudgetExceeded:
            return True

    def _over(self, failed: Sequence[JourneymanError]) -> bool:
        """Nothing more can come of it: the budget is spent, or something failed that all candidates need."""
        return self.spent or any(not isinstance(each, BudgetExceeded) for each in failed)

    def _emit(self, event: CandidateTried | CandidateScored) -> None:
        assert self._run is not None  # noqa: S101 - candidates come after the search has begun
        self._run.emit(event)

    async def _one_at_a_time(self, request: ApprovalRequested) -> ApprovalAnswered:
        async with self._asking:
            return await self._crew.approver(request)


def _drawn(order: Order, number: int, temperature: float) -> Order:
    sampling = order.sampling
    seed = None if sampling.seed is None else sampling.seed + number
    drawn = {"temperature": sampling.temperature or temperature, "seed": seed}
    return replace(order, sampling=sampling.model_copy(update=drawn))


def _place(order: Order, index: int) -> Sample | None:
    """A candidate's own place in practice: what is held out stays so."""
    return order.sample and order.sample.model_copy(update={"batch": order.group or "", "index": index})


def _strategy(order: Order) -> "Strategy":
    assert order.strategy is not None  # noqa: S101 - else it were no search
    return order.strategy
