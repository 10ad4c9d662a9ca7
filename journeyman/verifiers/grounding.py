"""Does the answer rest on what the run found: its numbers, quotations and citations stand in a result or the prompt."""

import re
from collections.abc import Iterator

from journeyman.verifiers.answer import NUMBER, normalised, number
from journeyman.verifiers.case import Case
from journeyman.verifiers.check import verifier
from journeyman.verifiers.score import Score

QUOTED = re.compile(r"[\"\u201c\u00ab]([^\"\u201d\u00bb]{3,})[\"\u201d\u00bb]")
CITED = re.compile(r"\b([\w./-]+\.\w+:\d+(?:-\d+)?)\b")


@verifier("grounding/1")
def grounding(case: Case, *, need: bool = True) -> Score:
    """The share of the answer's claims that stand in a call's result, or in the question.

    Args:
        case: the run.
        need: an answer that claims nothing checkable is wrong where the run called something; else it is not judged.
    """
    results = [call.text for call in case.calls if call.status == "ok"]
    known = "\n".join([case.prompt, *results])
    numbers = {value for each in NUMBER.finditer(known) if (value := number(each.group())) is not None}
    flat, claims = normalised(known), list(_claims(case.answer or ""))
    if not claims:
        return Score.of(0, "the answer claims nothing that could be looked up") if need and results else _nothing()

    missing = [claim for claim in claims if not (claim.casefold() in flat or number(claim) in numbers)]
    told = f"not found in any result: {', '.join(missing[:5])}" if missing else f"all {len(claims)} claims found"
    return Score.of(1 - len(missing) / len(claims), told)


def _claims(answer: str) -> Iterator[str]:
    cited = [each.group(1) for each in CITED.finditer(answer)]
    yield from cited
    for part in cited:
        answer = answer.replace(part, "")

    yield from (each.group(1) for each in QUOTED.finditer(answer))
    yield from (each.group() for each in NUMBER.finditer(QUOTED.sub("", answer)))


def _nothing() -> Score:
    return Score.missing("nothing to look up")
