"""Generated tasks: a question, the files it is about, the answer it must get, and the calls that get it.

Every family of questions is a function of a random generator; which split a task belongs to is decided by the hash of
its content, so that train and held-out never share one, whatever the seeds. Besides, each family keeps some templates
(phrasings, stories) for the held-out split alone: those tasks are marked `unseen`.
"""

import hashlib
import json
from typing import Any, Literal

from pydantic import JsonValue

from journeyman.traces.messages import Value

Split = Literal["train", "held_out"]
Match = Literal["numeric", "exact", "contains", "refusal", "any"]

HELD_OUT_SHARE = 4
"""One task in so many, by content hash, is held out."""


class OracleCall(Value):
    """A call that the perfect agent makes."""

    tool: str
    """Alias, as it is offered to the model."""
    arguments: dict[str, JsonValue]
    denied: bool = False
    """The policy does not let it happen."""


class ExtraTool(Value):
    """A tool of the user's own, invented for one task; it answers what it is told to."""

    name: str
    description: str
    parameters: dict[str, Any]
    result: str
    """What it returns when called as the oracle calls it."""


class Task(Value):
    kind: str
    prompt: str
    answer: str
    """What the final answer is compared with."""
    match: Match = "exact"
    says: str = ""
    """The oracle's final words, where they are more than the answer."""
    files: dict[str, str] = {}
    """Path -> text, in the folder the tools work in."""
    expects: dict[str, str] = {}
    """Path -> text that must be there afterwards."""
    extra: tuple[ExtraTool, ...] = ()
    alone: bool = False
    """The extra tools are all there is: no built-in is offered."""
    allow: tuple[str, ...] = ()
    """What the policy must allow for the oracle to get through."""
    oracle: tuple[OracleCall, ...] = ()
    unseen: bool = False
    """Made from a template that the train split never uses."""

    @property
    def key(self) -> str:
        """Content hash: the same question over the same files is the same task."""
        content = json.dumps([self.prompt, self.files, [tool.name for tool in self.extra]], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def split(self) -> Split:
        """By the prompt alone: a question asked in training is never asked in a test, not even over other files."""
        digest = hashlib.sha256(self.prompt.encode()).digest()
        return "held_out" if self.unseen or digest[0] % HELD_OUT_SHARE == 0 else "train"
