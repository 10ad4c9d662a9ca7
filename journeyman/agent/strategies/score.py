"""How good a candidate is, between 0 and 1, by whoever can tell.

verifier    what the caller says is right: a check of the answer, or a task's own
judge       the model itself, asked for a mark
process     its steps: calls that came to a good end, and an answer that rests on their results
likelihood  the mean probability of the tokens that it drew
"""

from math import exp
from typing import Literal

from journeyman.agent.models.model import Capabilities
from journeyman.agent.session import Order
from journeyman.agent.strategies.search import Candidate, Search
from journeyman.agent.strategies.strategy import sampled
from journeyman.errors import UsageError
from journeyman.traces.events import ModelResponded
from journeyman.verifiers.check import Check, verify_here
from journeyman.verifiers.judge import MARK, mark_of, question

By = Literal["verifier", "judge", "process", "likelihood"]


def ready(by: By, order: Order, able: Capabilities) -> Order:
    """The order of candidates that can be scored so.

    Raises:
        UsageError: they can not.
    """
    if by == "verifier" and order.verify is None and order.check is None and order.returns is None:
        raise UsageError(
            "There is nothing that verifies an answer.", fix="Score by=judge, by=process or by=likelihood."
        )

    if by != "likelihood":
        return order

    if not able.logprobs:
        raise UsageError("This model does not tell how likely its words are.", fix="Score by=judge or by=process.")

    return sampled(order, logprobs=True)


async def score(search: Search, order: Order, candidate: Candidate, by: By) -> Candidate:
    """The candidate with its score, which the search's trace has too; an answer that is none has none."""
    if candidate.answer is None and by != "process":
        return candidate

    if by == "judge":
        value, why = await _judge(search, order, candidate)
    elif by == "verifier":
        value, why = await _verify(order, candidate)
    else:
        value, why = _process(candidate) if by == "process" else _likelihood(candidate)

    return search.judged(candidate, value, why, by)


async def _verify(order: Order, candidate: Candidate) -> tuple[float | None, str]:
    if order.verify is not None:
        told = await order.verify(candidate.result, candidate.case)
        return told.value, "" if told.status == "ok" else told.evidence  # never what would have been right

    problem = order.check(candidate.answer or "") if order.check else None
    return float(problem is None), problem or ""


async def _judge(search: Search, order: Order, candidate: Candidate) -> tuple[float | None, str]:
    asked = question(order.prompt, candidate.answer or "")
    judgement = await search.ask(order, asked, of=candidate, returns=MARK)
    mark = mark_of(judgement.answer)
    return mark, "" if mark is not None else "the judge gave no mark"


def _process(candidate: Candidate) -> tuple[float | None, str]:
    calls = candidate.case.calls
    good = sum(call.status in {"ok", "repeated"} for call in calls)
    grounded = verify_here(Check(verifier="grounding", parameters={"need": False}), candidate.case).value
    parts = [*([good / len(calls)] if calls else []), *([grounded] if grounded is not None else [])]
    if not parts:
        return None, "it called nothing and claims nothing"

    return sum(parts) / len(parts), f"{good} of {len(calls)} calls came to a good end"


def _likelihood(candidate: Candidate) -> tuple[float | None, str]:
    drawn = [
        logprob
        for each in candidate.events
        if isinstance(each.event, ModelResponded) and each.event.tokens
        for span in each.event.tokens.spans
        if span.kind == "sampled"
        for logprob in span.logprobs or ()
        if logprob is not None
    ]
    return (exp(sum(drawn) / len(drawn)), f"over {len(drawn)} tokens") if drawn else (None, "no probability is known")
