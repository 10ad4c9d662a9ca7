"""What a local model has written of a turn so far: the ids, their log-probabilities, and what they come to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from journeyman.agent.models.parse import Parser
from journeyman.traces.events import ModelDelta


@dataclass
class Draft:
    """`fresh` makes a parser that has read what the prompt ends with; `closes` is the mark that ends a thought."""

    fresh: Callable[[], Parser]
    closes: int | None = None
    probable: bool = False
    """Log-probabilities are asked for."""
    ids: list[int] = field(default_factory=list)
    logprobs: list[float | None] = field(default_factory=list)
    forced: set[int] = field(default_factory=set)
    """Which of the ids were written for the model, by their place."""
    predicted: int = 0
    """Ids by the engine's count, which may tell fewer."""
    reasoning: int = 0
    """Tokens of thinking."""
    base: int = 0
    """Ids that were there before the request under way."""
    parser: Parser = field(init=False)
    _pieces: list[str] = field(default_factory=list)
    _open_thought: tuple[int, int, int] = (0, 0, 0)
    """Ids, pieces and tokens of thinking up to where the thought had not ended yet."""

    def __post_init__(self) -> None:
        self.parser = self.fresh()

    def take(self, event: dict[str, Any]) -> list[ModelDelta]:
        """Add what one event of the engine brings."""
        self.ids += event["tokens"]
        if self.probable:
            self.logprobs += told_logprobs(event)

        self.predicted = max(self.predicted, self.base + event["tokens_predicted"])
        self._pieces.append(event["content"])
        deltas = self.parser.feed(event["content"])
        self.reasoning += self._thought_in(event, deltas)
        if self.parser.kind == "thinking" and not self.parser.held:
            self._open_thought = (len(self.ids), len(self._pieces), self.reasoning)

        return deltas

    def write(self, ids: Sequence[int], text: str) -> None:
        """Add what is written for the model."""
        self.forced |= set(range(len(self.ids), len(self.ids) + len(ids)))
        self.ids += ids
        self.logprobs += [None] * len(ids)
        self.predicted = len(self.ids)
        self._pieces.append(text)
        self.parser.feed(text)

    def drop_last(self) -> None:
        """Take back the last id."""
        del self.ids[-1:]
        del self.logprobs[len(self.ids) :]

    def take_back(self) -> None:
        """Take back the end of the thought, and what came after it."""
        count, pieces, self.reasoning = self._open_thought
        del self.ids[count:], self.logprobs[count:], self._pieces[pieces:]
        self.parser = self.fresh()
        self.parser.feed("".join(self._pieces))

    def _thought_in(self, event: dict[str, Any], deltas: Sequence[ModelDelta]) -> int:
        """Tokens of thinking in what came; where it came with others, up to the mark that ends it, or their share."""
        count = len(event["tokens"])
        if self.parser.kind == "thinking" or count <= 1:
            return count if self.parser.kind == "thinking" else 0

        if self.closes in event["tokens"]:
            return event["tokens"].index(self.closes)

        thought = sum(len(delta.text) for delta in deltas if delta.kind == "thinking")
        return round(count * thought / max(len(event["content"]), 1))


def told_logprobs(event: dict[str, Any]) -> list[float | None]:
    """One for each id of the event, matched by id; None for a token that the engine reported no value for."""
    values: list[float | None] = []
    reported = iter(event.get("completion_probabilities") or ())
    entry = next(reported, None)
    for token in event["tokens"]:
        if entry is not None and entry["id"] == token:
            values.append(entry["logprob"])
            entry = next(reported, None)
        else:
            values.append(None)

    return values
