"""What a verifier says of a run: a number between 0 and 1, or that it could not tell."""

from typing import Literal

from journeyman.traces.messages import Value

Status = Literal["ok", "not_applicable", "error"]


class Score(Value):
    value: float | None
    """0 wrong, 1 right; None: it was not judged, which is not the same as wrong."""
    status: Status = "ok"
    verifier: str = ""
    """Name and version of what judged."""
    evidence: str = ""
    """What was compared with what, for a person who doubts it."""
