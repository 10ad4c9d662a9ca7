"""The loop: ask the model, decide its calls, do them, tell it what came of them; until it answers.

It knows only protocols. Everything it does is an event, and everything it knows is a fold over events, so a run that
is resumed from stored events simply goes on: with the calls that have no result yet if there are any, else with the
model.
"""

from journeyman.agent.ask import ask
from journeyman.agent.calls import perform
from journeyman.agent.compact import make_room, squeeze, sum_up
from journeyman.agent.models.parse import meant_as_call
from journeyman.agent.run import Run
from journeyman.errors import ContextOverflow, ModelError, Paused
from journeyman.traces.events import BudgetRaised, Choice, MessageAdded

MENDS = 2
"""How often a model may be asked to mend an answer that does not fit."""


async def drive(run: Run, steps: int | None = None) -> str:
    """Go on from wherever the run's state is, to the answer, or for so many steps.

    Raises:
        Paused: the steps are done, and there is no answer yet.
        ModelError, BudgetExceeded, StoreError: the run cannot go on.
    """
    mends, begun = 0, run.state.steps
    while True:
        if run.state.asked_summary is not None:  # taken up again in the middle of it
            await _afford(run)
            await sum_up(run)
        elif calls := run.state.pending:
            await perform(run, calls)
        elif (answer := run.state.answer) is None:
            if steps is not None and run.state.steps - begun >= steps:
                raise Paused(f"The run was left after {run.state.steps} steps: its search decides how it goes on.")

            await _respond(run)
        elif (problem := _problem(run, answer)) is None:
            return answer
        else:
            _ask_to_mend(run, problem, mends)
            mends += 1


async def _respond(run: Run) -> None:
    if run.guard.lost:
        raise _useless(run, "It goes on calling tools where it was asked for an answer.")

    await _afford(run)
    if run.window.full:
        await make_room(run)
        await _afford(run)

    for warning in run.budget.warnings():
        run.emit(warning)

    try:
        await ask(run, _choice(run))
    except ContextOverflow:
        if not await squeeze(run):
            raise

        await ask(run, _choice(run))  # once: what is too long still is the caller's to know


async def _afford(run: Run) -> None:
    """Ask for more of what is spent.

    Raises:
        BudgetExceeded: nobody gives any, or nobody is there to ask.
    """
    while spent := run.budget.spent():
        with run.budget.paused():
            limit = await run.more(spent) if run.more else None

        if limit is None:
            raise run.budget.exceeded(spent, run.run_id)

        run.emit(BudgetRaised(what=spent.what, limit=limit))


def _choice(run: Run) -> Choice:
    """Whether the model may, must or must not call a tool now."""
    if run.guard.stop or run.budget.last_step:
        return "none"

    needs_a_push = run.state.steps == 0 and run.model.capabilities.untrained and run.toolbox.specs
    return "required" if needs_a_push else "auto"


def _problem(run: Run, answer: str) -> str | None:
    if not answer.strip():
        return "Your answer is empty."

    if run.state.finish == "length":
        return f"Your answer was cut off at {run.sampling.max_tokens} tokens; it must be shorter."

    if meant_as_call(answer):
        return "Your answer is a call that was not made. Answer in words."

    return run.check(answer) if run.check else None


def _ask_to_mend(run: Run, problem: str, mends: int) -> None:
    if mends >= MENDS:
        raise _useless(run, problem)

    run.emit(MessageAdded(text=f"{problem} Answer again.", origin="runtime"))


def _useless(run: Run, why: str) -> ModelError:
    fix = "Ask in other words, or use a stronger model: --model SPEC"
    return ModelError(f"{run.model.spec} gave no usable answer. {why}", fix=fix)
