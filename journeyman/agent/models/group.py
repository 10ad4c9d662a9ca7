"""A group of answers to one prompt, drawn in one request: the engine reads the prompt once for all of them."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from journeyman.agent.models.turn import Turn


async def sample_group(turns: Sequence[Turn]) -> None:
    """Sample turns that differ in nothing but the run they belong to.

    Raises:
        ContextOverflow: no room for an answer.
        OSError, Refused: from the engine.
    """
    for turn in turns:
        await turn.prepare()

    first, many = turns[0], {"n": len(turns)} if len(turns) > 1 else {}
    async with aclosing(first.read()) as progress:
        async for _ in progress:
            pass

    answers: list[dict[str, Any]] = []
    for text in first.candidates():
        before = first.process.log_size
        answer = await first.process.wire.post("/completion", first.whole(text) | many | {"id_slot": -1})
        answers = answer if many else [answer]
        if first.accepted(text, before):
            break

    for turn, event in zip(turns, answers, strict=True):
        turn.cached = first.cached if turn is first else len(turn.prompt.ids)
        turn.take(event)
