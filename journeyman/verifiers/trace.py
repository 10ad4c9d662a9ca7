"""How the run went about it: which calls it made, and how each step did."""

from fnmatch import fnmatchcase

from journeyman.verifiers.case import Called, Case
from journeyman.verifiers.check import verifier
from journeyman.verifiers.score import Score


@verifier("calls/1", answer=False)
def calls(
    case: Case,
    *,
    made: list[str] | None = None,
    in_order: bool = False,
    never: list[str] | None = None,
    most: int | None = None,
) -> Score:
    """Calls that worked are among `made` patterns (`files.*`), none is one of `never`, and there are at most `most`."""
    done = [call.tool for call in case.calls if call.status == "ok"]
    rest = iter(done)
    for pattern in made or ():
        if not any(fnmatchcase(tool, pattern) for tool in (rest if in_order else done)):
            return Score.of(0, f"no call of {pattern} that worked{' in this order' if in_order else ''}")

    for pattern in never or ():
        if any(fnmatchcase(call.tool, pattern) for call in case.calls):
            return Score.of(0, f"{pattern} was called")

    if most is not None and len(case.calls) > most:
        return Score.of(0, f"{len(case.calls)} calls, at most {most}")

    return Score.of(1, f"{len(case.calls)} calls")


@verifier("steps/1", answer=False)
def steps(case: Case) -> Score:
    """A process score: each step's share of calls that worked and were not made before; their mean is the value."""
    if not case.calls:
        return Score.missing("nothing was called")

    seen: set[str] = set()
    by_step: dict[int, list[bool]] = {}
    for call in case.calls:
        key = f"{call.tool} {call.arguments}"
        by_step.setdefault(call.step, []).append(_worked(call) and key not in seen)
        seen.add(key)

    scores = {step: sum(good) / len(good) for step, good in by_step.items()}
    return Score.of(sum(scores.values()) / len(scores), f"{len(scores)} steps with calls", scores)


def _worked(call: Called) -> bool:
    return call.status == "ok"
