"""What a transcript is made of: small frozen values, one for each thing that was said or done.

Every text in them has been through `safe.prose` or `safe.safe` where the value was made (`feed.py`, `recorded.py`).
"""

from typing import Any, Literal, NamedTuple

Status = Literal[
    "waiting", "asked", "running", "ok", "error", "denied", "refused", "timeout", "unknown", "repeated", "not done"
]


class Said(NamedTuple):
    """Words of the user, the assistant, or the runtime."""

    who: Literal["user", "assistant", "runtime"]
    text: str
    open: bool = False
    """More is coming."""


class Thought(NamedTuple):
    text: str
    seconds: float = 0.0
    open: bool = False
    note: str = ""
    """summary, hidden or redacted, where it is not the thought itself."""


class Edit(NamedTuple):
    """A file before and after."""

    path: str
    old: str
    new: str


class Card(NamedTuple):
    """A tool call, from the proposal to what came of it."""

    call_id: str
    tool: str
    arguments: str
    """On one line."""
    full: tuple[str, ...] = ()
    """In full, as in an approval."""
    status: Status = "waiting"
    effect: str = ""
    """What the policy said: allow, ask, deny."""
    rules: tuple[str, ...] = ()
    reason: str = ""
    output: str = ""
    """What came of it; while it runs, what it has said so far."""
    seconds: float = 0.0
    edits: tuple[Edit, ...] = ()
    parent: str = ""
    """The call that made it, where it stands right below that one."""

    @property
    def is_done(self) -> bool:
        return self.status not in {"waiting", "asked", "running"}


class Planned(NamedTuple):
    steps: tuple[tuple[str, str], ...]
    """Status and text of each."""


class Note(NamedTuple):
    """A word from the runtime: what was resumed, warned of, ended."""

    kind: Literal["info", "good", "warning", "error"]
    text: str


Item = Said | Thought | Card | Planned | Note


class Question(NamedTuple):
    """A call that waits for a yes or a no."""

    id: Any
    """What the answer goes back with."""
    call_id: str
    tool: str
    call: tuple[str, ...]
    """Every argument in full, spelled out by `safe.shown_call`."""
    arguments: str
    """As JSON, to be edited."""
    reason: str = ""
    rules: tuple[str, ...] = ()
    """Or why there are none."""
    sources: tuple[str, ...] = ()
    """A line for each argument: where its value came from."""
    offer: str = ""
    """The rule that `session` and `always` would remember; empty where they are not offered."""
    edits: tuple[Edit, ...] = ()
    then: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Calls of the same step that are asked about after it: the id, and all of the call as in `call`."""
