"""What a verifier says of a run: a number between 0 and 1, or that it could not tell."""

from typing import Literal, Self

from pydantic import Field

from journeyman.traces.messages import Value

Status = Literal["ok", "error", "timeout", "na"]
SHOWN = 120


class Score(Value):
    value: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    """0 wrong, 1 right; None: it was not judged, which is not the same as wrong."""
    status: Status = "ok"
    """error: the verifier failed. timeout: it took too long. na: there is nothing that it could judge."""
    verifier: str = ""
    """Name and version of what judged."""
    evidence: str = ""
    """What was compared with what, for a person who doubts it."""
    steps: dict[int, float] = {}
    """Scores of single steps, by number: a process score, kept apart from the outcome."""

    @classmethod
    def of(cls, value: float, evidence: str = "", steps: dict[int, float] | None = None) -> Self:
        return cls(value=float(value), evidence=evidence, steps=steps or {})

    @classmethod
    def missing(cls, why: str, status: Status = "na") -> Self:
        return cls(status=status, evidence=why)


def short(text: str) -> str:
    """A text as evidence shows it."""
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 3] + "...")
