"""What waits to be said in a session, in order. A file has it too, so that an engine that is killed loses nothing."""

import json
import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import JsonValue

from journeyman.engine.place import folder
from journeyman.engine.turn import Turn
from journeyman.errors import JourneymanError
from journeyman.home import replace_text

NAMED = re.compile(r"[\w-]+")


class Waiting:
    """What an earlier engine was killed with is held up: nobody knows whether it is still wanted."""

    def __init__(self, session_id: str) -> None:
        self._path = _file(session_id)
        self._taken: Turn | None = None
        """Begun, and not in the store yet."""
        self.turns = deque(_kept(self._path))
        self.held = bool(self.turns)

    def __bool__(self) -> bool:
        """Something can be said now."""
        return bool(self.turns) and not self.held

    def add(self, turn: Turn, *, first: bool = False) -> None:
        """Have it said after the others, or before them; none is held up any longer."""
        self.held = False
        (self.turns.appendleft if first else self.turns.append)(turn)
        self._save()

    def take(self) -> Turn:
        """The next one, which has to be stored before it is forgotten here."""
        self._taken = self.turns.popleft()
        return self._taken

    def said(self) -> None:
        """What was taken is in the store, or need not be."""
        if self._taken is not None:
            self._taken = None
            self._save()

    def drop(self, turn_id: str) -> None:
        """Forget one."""
        for turn in [each for each in self.turns if each.id == turn_id]:
            self.turns.remove(turn)
            turn.ended.set()

        self._save()

    def fail(self, error: JourneymanError, *, forget: bool) -> None:
        """None of them can be said; `forget` them here too."""
        for turn in self.turns:
            turn.error = error
            turn.ended.set()

        self.turns.clear()
        if forget:
            self._save()

    @property
    def listed(self) -> list[dict[str, JsonValue]]:
        return [{"id": turn.id, "text": turn.text} for turn in self.turns]

    def _save(self) -> None:
        turns = [self._taken, *self.turns] if self._taken else [*self.turns]
        with suppress(OSError):  # a full disk: what waits is said all the same
            if turns:
                told = [{"text": each.text, "command": each.command} for each in turns]
                replace_text(self._path, json.dumps(told), mode=0o600)
            else:
                self._path.unlink(missing_ok=True)


def is_kept(session_id: str) -> bool:
    """Whether something waits in a session that no engine has open."""
    return bool(NAMED.fullmatch(session_id)) and _file(session_id).exists()


def _file(session_id: str) -> Path:
    return folder() / "waiting" / f"{session_id}.json"


def _kept(path: Path) -> Iterator[Turn]:
    with suppress(OSError, ValueError, KeyError, TypeError):
        for each in json.loads(path.read_text("utf-8")):
            yield Turn(str(each["text"]), None, str(each["command"]))
