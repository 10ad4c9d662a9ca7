"""What a person allowed, remembered: for this session or for good, and never more than was shown.

An approval is literal. It holds the tool, its definition and labels (by their hash), and the values that steer the
call; a changed tool or another target is asked about again. Nothing is offered for what destroys or pays where a text
of others steers it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from journeyman.errors import PolicyError
from journeyman.home import alone, replace_text
from journeyman.policies.decision import Decision
from journeyman.policies.labels import ASKING, Label
from journeyman.safe import safe
from journeyman.traces.messages import ToolSpec, Value

GRAVE = frozenset({"destructive", "financial", "admin"})


class Approval(Value):
    tool: str
    where: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments that must be the same, letter by letter; others are free."""
    pin: str
    """Hash of the tool's definition and labels at that time."""
    remote: bool = False
    """It lets a remote model read what the tool returns."""

    def __str__(self) -> str:
        same = ", ".join(f"{safe(k, None)} = {safe(canonical(v), None)}" for k, v in self.where.items())
        read = " and let the model, which is not on this machine, read what it returns" if self.remote else ""
        return f"allow {safe(self.tool, None)}{f' where {same}' if same else ', whatever its arguments'}{read}"

    def covers(self, other: "Approval", arguments: Mapping[str, JsonValue]) -> bool:
        given = {name: arguments.get(name) for name in self.where}
        same = (self.tool, self.pin, self.remote) == (other.tool, other.pin, other.remote)
        return same and canonical(given) == canonical(self.where)


def offer(decision: Decision, tool: ToolSpec, arguments: Mapping[str, JsonValue]) -> Approval | None:
    """What may be remembered of a call that was asked about; None where each must be looked at."""
    label = decision.label
    if tool.server in ASKING or (decision.untrusted and (label.shapes or not GRAVE.isdisjoint(label.does))):
        return None

    steering = arguments if label.shapes else label.control
    where = {name: arguments[name] for name in sorted(steering) if name in arguments}
    return Approval(tool=tool.identity, where=where, pin=pin(tool, label), remote=decision.private)


def canonical(value: object) -> str:
    """One text for one value: keys in order, no spaces, everything spelled out."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def pin(tool: ToolSpec, label: Label) -> str:
    return sha256(f"{tool.model_dump_json()}\n{label.model_dump_json()}".encode(errors="surrogatepass")).hexdigest()


def token(tool: ToolSpec, label: Label, arguments: Mapping[str, JsonValue]) -> str:
    """SHA-256 of exactly what is asked about: this call of this definition under these labels."""
    call = f"{pin(tool, label)}\n{tool.identity}\n{canonical(arguments)}"
    return sha256(call.encode(errors="surrogatepass")).hexdigest()


class Book:
    """Approvals of this session and, in a file, those for good. Without a file both end with the session."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._session: list[Approval] = []

    def has(self, approval: Approval | None, arguments: Mapping[str, JsonValue]) -> bool:
        """Was this allowed before? What was taken back meanwhile is not."""
        known = (*self._session, *self._readable()) if approval else ()
        return any(approval is not None and each.covers(approval, arguments) for each in known)

    def keep(self, approval: Approval, *, always: bool) -> None:
        """Remember it.

        Raises:
            PolicyError: it cannot be written.
        """
        if always and self._path is not None:
            self._write(lambda: (*self._readable(), approval))
        else:
            self._session.append(approval)

    def saved(self) -> Sequence[Approval]:
        """Those for good.

        Raises:
            PolicyError: the file cannot be read.
        """
        try:
            return _entries.validate_json(self._path.read_bytes()) if self._path else ()
        except FileNotFoundError:
            return ()
        except (OSError, ValidationError) as error:
            told = str(error).split("\n", 1)[0]
            raise PolicyError(f"{self._path} cannot be read: {told}", fix=f"rm {self._path}") from error

    def _readable(self) -> Sequence[Approval]:
        """A file that cannot be read allows nothing."""
        with suppress(PolicyError):
            return self.saved()

        return ()

    def take_back(self, which: Sequence[Approval]) -> None:
        """Remember these no more.

        Raises:
            PolicyError: the file cannot be read or written.
        """
        self._session = [each for each in self._session if each not in which]
        self._write(lambda: [each for each in self.saved() if each not in which])

    def _write(self, approvals: Callable[[], Sequence[Approval]]) -> None:
        if self._path is None:
            return

        try:
            with alone(self._path):
                entries = dict.fromkeys(each.model_dump_json() for each in approvals())
                replace_text(self._path, "[" + ",\n ".join(entries) + "]\n")
        except OSError as error:
            told = f"make {self._path.parent} writable, or allow it for the session only"
            raise PolicyError(f"the approvals cannot be saved: {error}", fix=told) from error


_entries: TypeAdapter[tuple[Approval, ...]] = TypeAdapter(tuple[Approval, ...])
