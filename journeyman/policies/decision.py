"""The answer of a policy to one call."""

from journeyman.traces.events import Effect
from journeyman.traces.messages import Value


class Decision(Value):
    effect: Effect
    rules: tuple[str, ...] = ()
    """Ids of every rule that matched, strictest first."""
    reason: str = ""
    """Why, in a sentence a person reads; for a denial the model reads it too."""
