"""From what the engine says to what the transcript shows: the one place where text from outside comes in, and where all
of it is made fit to be shown.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Protocol, cast

from journeyman.safe import prose, safe, shown_call
from journeyman.tui.items import Card, Edit, Item, Note, Planned, Question, Said, Status, Thought

LONGEST = 200_000
"""Characters of one text that are kept for the screen; the trace has all of it."""
ONE_LINE = 300
NO_RULE = "none is about it, and then the policy has it asked"

KINDS: dict[str, type[Said | Thought]] = {"agent_message_chunk": Said, "agent_thought_chunk": Thought}
PLANNED = {"pending": "pending", "in_progress": "active", "completed": "done"}
STATUSES: dict[str, Status] = {"pending": "waiting", "in_progress": "running", "completed": "ok", "failed": "error"}


class Sink(Protocol):
    """What shows items: the transcript, or a list."""

    items: list[Item]

    def add(self, item: Item) -> int: ...

    def replace(self, index: int, item: Item) -> None: ...

    def stream(self, kind: type[Said | Thought], text: str) -> None: ...

    def close(self) -> None: ...


class Listed:
    """Items of a stored conversation."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.open: list[str] = []

    def add(self, item: Item) -> int:
        self.open = []
        self.items.append(item)
        return len(self.items) - 1

    def replace(self, index: int, item: Item) -> None:
        self.items[index] = item

    def close(self) -> None:
        self.open = []

    def stream(self, kind: type[Said | Thought], text: str) -> None:
        if self.open and isinstance(self.items[-1], kind):
            self.open.append(text)
        else:
            self.add(Said("assistant", text) if kind is Said else Thought(text))
            self.open = [text]

        self.items[-1] = cast("Said | Thought", self.items[-1])._replace(text="".join(self.open))


class Feed:
    """Takes a session's updates, in order."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._cards: dict[str, int] = {}
        self.turns: list[tuple[int, str]] = []
        """The user's messages: which stored event each is, and the words."""
        self.orphans: list[Mapping[str, Any]] = []
        """Updates of calls that began before the first update here."""

    def move(self, sink: Sink) -> None:
        """Go on elsewhere: the same items are shown there now."""
        self._sink = sink

    def take(self, update: Mapping[str, Any]) -> None:
        """One `session/update` of a kind that a transcript shows; others are left alone."""
        kind = update.get("sessionUpdate", "")
        ours = (update.get("_meta") or {}).get("journeyman") or {}
        if kind in KINDS:
            self._words(KINDS[kind], _text(update.get("content")), ours)
        elif kind == "user_message_chunk":
            self._user(_text(update.get("content")), ours)
        elif kind == "plan":
            self._plan(update.get("entries") or ())
        elif kind == "tool_call":
            card = Card(str(update.get("toolCallId")), "", "", parent=self._above(ours))
            card = _updated(card, update, ours)
            self._cards[card.call_id] = self._sink.add(card)
        elif kind == "tool_call_update":
            self._update(update, ours)

    def note(self, kind: str, text: str) -> None:
        """A word of the runtime's."""
        kinds = {"budget": "warning", "compacted": "warning", "error": "error", "good": "good", "notice": "warning"}
        self._sink.add(Note(cast("Any", kinds.get(kind, "info")), prose(text[:LONGEST])))

    def asked(self, call_id: str) -> None:
        """A person is asked about a call."""
        self._change(call_id, lambda card: card if card.is_done else card._replace(status="asked"))

    def stopped(self) -> None:
        """The turn has ended: nothing runs any more."""
        self._sink.close()
        for index in self._cards.values():
            card = cast("Card", self._sink.items[index])
            if not card.is_done:
                self._sink.replace(index, card._replace(status="unknown" if card.status == "running" else "not done"))

        self._cards.clear()

    def shift(self, count: int) -> None:
        """So many older items were put before those here."""
        self._cards = {call_id: index + count for call_id, index in self._cards.items()}

    def _words(self, kind: type[Said | Thought], text: str, ours: Mapping[str, Any]) -> None:
        if kind is Thought and ours.get("shown"):
            self._sink.add(Thought(prose(text), note=safe(str(ours["shown"]))))
        elif text:
            self._sink.stream(kind, prose(text))

    def _user(self, text: str, ours: Mapping[str, Any]) -> None:
        if ours.get("origin", "user") == "user":
            self.turns.append((int(ours.get("seq") or 0), prose(text)))
            self._sink.add(Said("user", prose(text)))
        else:
            self._sink.add(Said("runtime", prose(text)))

    def _above(self, ours: Mapping[str, Any]) -> str:
        """The call that makes this one, where nothing else has come between."""
        parent = str(ours.get("parent") or "")
        last = self._sink.items[-1] if self._sink.items else None
        return parent if isinstance(last, Card) and parent in {last.call_id, last.parent} else ""

    def _plan(self, entries: Iterable[Mapping[str, Any]]) -> None:
        steps = tuple((PLANNED.get(e.get("status", ""), "pending"), prose(str(e.get("content", "")))) for e in entries)
        last = len(self._sink.items) - 1
        at = next((at for at in range(last, max(-1, last - 40), -1) if isinstance(self._sink.items[at], Planned)), None)
        if at is not None and at == last:  # nothing was said since
            self._sink.replace(at, Planned(steps))
        else:
            self._sink.add(Planned(steps))

    def _update(self, update: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
        call_id = str(update.get("toolCallId"))
        if call_id not in self._cards:
            self.orphans.append(update)

        self._change(call_id, lambda card: _updated(card, update, ours))

    def _change(self, call_id: str, change: Callable[[Card], Card]) -> None:
        if (index := self._cards.get(call_id)) is not None:
            self._sink.replace(index, change(cast("Card", self._sink.items[index])))


def items_of(updates: Iterable[Mapping[str, Any]], later: Sequence[Mapping[str, Any]] = ()) -> tuple[list[Item], Feed]:
    """A stored conversation, or a page of one; `later` are the orphans of the page after it."""
    listed = Listed()
    feed = Feed(listed)
    for update in updates:
        feed.take(update)

    orphans, feed.orphans = feed.orphans, []
    for update in later:
        feed.take(update)

    feed.orphans = orphans + feed.orphans
    return listed.items, feed


def question(ask_id: object, call: Mapping[str, Any], ours: Mapping[str, Any]) -> Question:
    """What a permission request asks. Its call is spelled out by the one renderer that cannot be deceived."""
    given = ours.get("arguments")
    arguments: dict[str, Any] = given if isinstance(given, dict) else call.get("rawInput") or {}
    tool = str(ours.get("tool") or call.get("title") or "?")
    kind, sources = ours.get("kind"), ours.get("sources") or ()
    budget, unruled = kind == "budget", (NO_RULE,) if kind == "call" and not sources else ()
    return Question(
        id=ask_id,
        call_id=str(call.get("toolCallId", "")),
        tool="budget" if budget else safe(tool, ONE_LINE),
        call=() if budget else tuple(shown_call(tool, arguments)),
        arguments=json.dumps(arguments, indent=2, ensure_ascii=False),
        reason=safe(str(ours.get("reason") or ""), 1_000),
        rules=tuple(safe(str(rule), 100) for rule in ours.get("rules") or unruled),
        sources=tuple(safe(str(source), 1_000) for source in sources),
        offer=safe(str(ours.get("offer") or ""), None),
        edits=_edits(call.get("content")),
        then=tuple(
            (str(each["id"]), tuple(shown_call(str(each["tool"]), each["arguments"])))
            for each in ours.get("then") or ()
        ),
    )


def _updated(card: Card, update: Mapping[str, Any], ours: Mapping[str, Any]) -> Card:
    changes: dict[str, Any] = {}
    if tool := ours.get("tool") or (not card.tool and update.get("title")):
        changes["tool"] = safe(str(tool), 100)

    if isinstance(arguments := update.get("rawInput"), dict):
        changes["arguments"] = one_line(arguments)
        changes["full"] = tuple(shown_call(card.tool or str(tool), arguments))

    if "effect" in ours:
        rules = tuple(safe(str(rule), 60) for rule in ours.get("rules") or ())
        changes |= {"effect": safe(str(ours["effect"]), 10), "rules": rules}

    if ours.get("reason"):
        changes["reason"] = safe(str(ours["reason"]), 1_000)

    if update.get("content") is not None:
        changes["output"] = prose(_texts(update["content"])[:LONGEST])
        changes["edits"] = _edits(update["content"]) or card.edits

    if status := STATUSES.get(str(update.get("status"))):
        changes["status"] = ours.get("status") if ours.get("status") in Status.__args__ else status

    if isinstance(approved := ours.get("approved"), bool):
        changes["status"] = "waiting" if approved else "refused"

    if isinstance(seconds := ours.get("seconds"), int | float):
        changes["seconds"] = float(seconds)

    return card._replace(**changes)


def one_line(arguments: Mapping[str, Any]) -> str:
    """`path="notes.txt" lines=3`, cut where it is long."""
    told = []
    for name, value in arguments.items():
        text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else f'"{value[:ONE_LINE]}"'
        told.append(f"{safe(name, 40)}={safe(text, ONE_LINE)}")

    return " ".join(told)


def _text(content: object) -> str:
    return str(content.get("text", "")) if isinstance(content, dict) else ""


def _texts(content: object) -> str:
    found = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    return "\n".join(_text(block.get("content")) for block in found if block.get("type") == "content")


def _edits(content: object) -> tuple[Edit, ...]:
    found = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    return tuple(
        Edit(
            safe(PurePath(str(block.get("path", ""))).name, 100),
            prose(str(block.get("oldText") or "")[:LONGEST]),
            prose(str(block.get("newText") or "")[:LONGEST]),
        )
        for block in found
        if block.get("type") == "diff"
    )
