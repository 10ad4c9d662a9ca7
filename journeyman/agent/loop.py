"""The loop: ask the model, decide its calls, do them, tell it what came of them; until it answers.

It knows only protocols. Everything it does is an event, and everything it knows is a fold over events, so a run that
is resumed from stored events simply goes on: with the calls that have no result yet if there are any, else with the
model.
"""

from contextlib import aclosing

from journeyman.agent.calls import perform
from journeyman.agent.models.model import Request
from journeyman.agent.run import Run
from journeyman.errors import CutOff, ModelError, Refusal
from journeyman.traces.events import BudgetRaised, Choice, MessageAdded, ModelRequested, ModelResponded

MENDS = 2
"""How often a model may be asked to mend an answer that does not fit."""


async def drive(run: Run) -> str:
    """Go on from wherever the run's state is, to the answer.

    Raises:
        ModelError, BudgetExceeded, StoreError: the run cannot go on.
    """
    mends = 0
    while True:
        if calls := run.state.pending:
            await perform(run, calls)
        elif (answer := run.state.answer) is None:
            await _respond(run)
        elif (problem := _problem(run, answer)) is None:
            return answer
        else:
            _ask_to_mend(run, problem, mends)
            mends += 1


async def _respond(run: Run) -> None:
    await _afford(run)
    for warning in run.budget.warnings():
        run.emit(warning)

    request = _request(run)
    run.emit(ModelRequested(step=request.step, choice=request.choice, sampling=run.asked))
    response: ModelResponded | None = None
    async with aclosing(run.model.respond(request)) as stream:
        async for item in stream:
            run.emit(item)
            response = item if isinstance(item, ModelResponded) else response

    _judge(run, response)


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


def _judge(run: Run, response: ModelResponded | None) -> None:
    """An answer that is none ends the run.

    Raises:
        CutOff: it broke off on its way.
        Refusal: the model will not answer.
    """
    if response is None or response.finish == "cut":
        raise CutOff(
            f"{run.model.spec} stopped in the middle of its answer.",
            fix=f"Ask it again: journeyman run --resume {run.run_id}",
        )

    if response.finish == "refusal":
        said = response.message.text.strip()
        raise Refusal(f"{run.model.spec} refuses to answer: {said or 'without a word'}", fix="Ask in other words.")


def _request(run: Run) -> Request:
    started = run.state.started
    return Request(
        run_id=run.run_id,
        step=run.state.steps + 1,
        instructions=started.instructions if started else "",
        messages=run.state.messages,
        tools=run.tools,
        choice=_choice(run),
        returns=started.returns if started else None,
        sampling=run.sampling,
    )


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

    return run.check(answer) if run.check else None


def _ask_to_mend(run: Run, problem: str, mends: int) -> None:
    if mends >= MENDS:
        message = f"{run.model.spec} gave no usable answer. {problem}"
        raise ModelError(message, fix="Ask in other words, or use a stronger model: --model SPEC")

    run.emit(MessageAdded(text=f"{problem} Answer again.", origin="runtime"))
