"""One question to the model: what is asked, and whether what came is an answer."""

from contextlib import aclosing
from dataclasses import replace

from journeyman.agent.models.model import Request, Sampling
from journeyman.agent.run import Run
from journeyman.errors import CutOff, Refusal
from journeyman.traces.events import Choice, ModelRequested, ModelResponded


async def ask(run: Run, choice: Choice) -> None:
    """Have the model say what comes next.

    Raises:
        CutOff: its answer broke off on its way.
        Refusal: it will not answer.
        ModelError: it cannot be asked.
    """
    await _asked(run, _request(run, choice))


async def ask_for_words(run: Run, sampling: Sampling) -> None:
    """Have it answer the last message in plain words. Raises as `ask`."""
    await _asked(run, replace(_request(run, "none"), returns=None, sampling=sampling))


async def _asked(run: Run, request: Request) -> None:
    asked = request.sampling.model_dump(exclude_defaults=True)
    run.emit(ModelRequested(step=request.step, choice=request.choice, sampling=asked))
    response: ModelResponded | None = None
    async with aclosing(run.model.respond(request)) as stream:
        async for item in stream:
            run.emit(item)
            response = item if isinstance(item, ModelResponded) else response

    _judge(run, response)


def _request(run: Run, choice: Choice) -> Request:
    started = run.state.started
    return Request(
        run_id=run.run_id,
        step=run.state.steps + 1,
        instructions=started.instructions if started else "",
        messages=run.state.messages,
        tools=run.tools,
        choice=choice,
        returns=started.returns if started else None,
        sampling=run.sampling,
    )


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
