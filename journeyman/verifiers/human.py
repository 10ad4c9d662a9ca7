"""What a person thought of the run (`journeyman traces rate`), for a recipe that counts it beside other checks."""

from journeyman.verifiers.case import Case
from journeyman.verifiers.check import verifier
from journeyman.verifiers.score import Score


@verifier("human/1", answer=False)
def human(case: Case) -> Score:
    """The newest rating; a run that nobody rated is unjudged, which is not 0."""
    if case.rating is None:
        return Score.missing("nobody has rated it: journeyman traces rate", "error")

    return Score.of(case.rating, "as rated")
