"""How a local model's thought is steered while it writes it: how long it may and must get, how soon it may turn.

Budget forcing as in s1 (Muennighoff and others, 2025): a thought that is long enough is ended, one that ends too early
has its end taken back and "Wait" written in its place. Against leaping from thought to thought before one is finished
(Wang and others, 2025) the words that begin another one are made less likely for so many tokens after each.
"""

from dataclasses import dataclass, field
from typing import Literal

from journeyman.agent.models.model import Sampling

WAIT = "\nWait,"
WAITS = 8
"""How often a thought's end may be taken back: some models end it again at once."""
SWITCHES = ("Alternatively", "Wait", "Hmm", "However", "Another", "Instead", "But")
Pause = Literal["", "enough", "early", "settled", "switched", "more"]
"""Why the model is interrupted: the thought is long enough; it ends too early; it may turn to another again; it has
turned to another; only a part was asked for."""


@dataclass
class Thought:
    sampling: Sampling
    switches: frozenset[int] = frozenset()
    """First tokens of the words that begin another thought."""
    waits: int = 0
    discouraged: bool = field(init=False)
    """Turning to another thought is made less likely now."""
    _began: int = 0

    def __post_init__(self) -> None:
        self.discouraged = bool(self.sampling.switch_penalty)

    @property
    def steered(self) -> bool:
        """It may have to be interrupted, which only a stream can be."""
        sampling = self.sampling
        return isinstance(sampling.think, int) or bool(sampling.think_min or sampling.switch_penalty)

    def pause(self, kind: str, tokens: int, last: int | None) -> Pause:
        """Why the model is to be interrupted, which writes `kind` now, `tokens` of thought so far."""
        limit = self.sampling.think
        if kind == "thinking":
            if isinstance(limit, int) and tokens >= limit:
                return "enough"

            if not self.sampling.switch_penalty:
                return ""

            if self.discouraged:
                return "settled" if tokens - self._began >= self.sampling.switch_window else ""

            return "switched" if last in self.switches else ""

        if 0 < tokens < self.sampling.think_min and self.waits < WAITS:
            return "early"

        return "settled" if tokens and self.discouraged else ""

    def turned(self, pause: Pause, tokens: int) -> None:
        """It goes on, after what it was interrupted for."""
        self.waits += pause == "early"
        self.discouraged = pause == "switched"
        self._began = tokens

    @property
    def bias(self) -> list[list[float]]:
        return [[token, -self.sampling.switch_penalty] for token in sorted(self.switches)] if self.discouraged else []
