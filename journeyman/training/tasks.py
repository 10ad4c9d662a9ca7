"""Tasks: a question, the files it is about, what counts as done, the calls that get there and the cheats that must not.

They are written in a file (`taskfile.py`) or generated: every family of questions is a function of a random generator.
Which split a task belongs to is decided by the hash of its content, so that train and held-out never share one,
whatever the seeds. Besides, each family keeps some templates (phrasings, stories) for the held-out split alone: those
tasks are marked `unseen`.
"""

import hashlib
import json
from typing import Any, Literal

from pydantic import JsonValue

from journeyman.traces.messages import Value
from journeyman.verifiers.check import Check

Split = Literal["train", "held_out"]
Match = Literal["numeric", "exact", "contains", "choice", "math", "refusal", "talk"]

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


class Cheat(Value):
    """A run that did not do the task and must score less than 1."""

    answer: str = ""
    calls: tuple[OracleCall, ...] = ()
    files: dict[str, str] = {}
    """Path -> text that it leaves behind."""


class Task(Value):
    kind: str = "own"
    """What it practises: rates are counted by kind."""
    name: str = ""
    prompt: str
    answer: str = ""
    """What the final answer is compared with."""
    match: Match = "exact"
    checks: tuple[Check, ...] = ()
    """What counts as done, in place of `answer` and `match`."""
    says: str = ""
    """The oracle's final words, where they are more than the answer."""
    files: dict[str, str] = {}
    """Path -> text, in the folder the tools work in."""
    expects: dict[str, str] = {}
    """Path -> text that must be there afterwards."""
    tools: tuple[str, ...] | None = None
    """Built-in servers, or commands and URLs of others; None for the built-in ones."""
    extra: tuple[ExtraTool, ...] = ()
    alone: bool = False
    """The extra tools are all there is: no built-in is offered."""
    allow: tuple[str, ...] = ()
    """What the policy must allow for the oracle to get through."""
    deny: tuple[str, ...] = ()
    oracle: tuple[OracleCall, ...] = ()
    script: str = ""
    """What the oracle does in a shell, in a sandbox over the files, after its calls."""
    leaves: dict[str, str | None] = {}
    """Path -> text that the oracle leaves behind, in place of calls; None: it removes the file."""
    cheats: tuple[Cheat, ...] = ()
    """Beside the common ones, which every task must see through."""
    source: str = ""
    """Where it comes from: a generator with its seed, a file with its line."""
    unseen: bool = False
    """Made from a template that the train split never uses."""
    never: bool = False
    """Not to be trained on, whatever its hash: a published test."""

    @property
    def verifiers(self) -> tuple[Check, ...]:
        """The checks; `answer` and `match` written as such, and the files it expects as a gate."""
        if self.checks:
            return self.checks

        expected = {} if self.match in {"refusal", "talk"} else {"expected": self.answer}
        checks = [Check(verifier=self.match, parameters=expected)]
        if self.expects:
            checks.append(Check(verifier="files", weight=0, gate=True, parameters={"equal": dict(self.expects)}))

        return tuple(checks)

    @property
    def key(self) -> str:
        """Content hash: the same question over the same files is the same task."""
        content = json.dumps([self.prompt, self.files, [tool.name for tool in self.extra]], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def split(self) -> Split:
        """By the prompt alone: a question asked in training is never asked in a test, not even over other files."""
        digest = hashlib.sha256(self.prompt.encode()).digest()
        held_out = self.never or self.unseen or digest[0] % HELD_OUT_SHARE == 0
        return "held_out" if held_out else "train"
