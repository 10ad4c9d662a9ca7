"""Provenance: where each value that steers a call came from, and the witness for it.

A fold over the run's events, O(new text) for each: results are cut into fields and indexed once, and a value is looked
up, never searched for. What is found trusted is found exactly: in the user's own words, in a field a service fills in,
in the row the user named, in what this run made itself. Everything else is unknown, or an outsider's where a text that
strangers write has it; so what cannot be traced counts against the call. While no such text was read, nothing does.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import JsonValue

from journeyman.policies.finding import Finding, Source
from journeyman.policies.labels import LINK, STRANGE, TRUST, URL, Control, Label, Record, by_shape
from journeyman.policies.rows import Row, is_own, leaves, parsed, rows
from journeyman.policies.words import address_of, leads_to, plain, secrets_in, spoken, stands_in
from journeyman.traces.events import (
    ApprovalAnswered,
    CallFinished,
    CallProposed,
    Event,
    Inside,
    MessageAdded,
    RunResumed,
    RunStarted,
)
from journeyman.traces.messages import ToolSpec
from journeyman.veil import PLACEHOLDER

MANY = 64
"""Texts that are compared for one value; one that stands in more is taken for an outsider's."""
ENUMERATED = re.compile(r"\w[\w -]{1,30}")
WORD = re.compile(r"\w+")
DESTROYING = re.compile(
    r"\b(delet|remov|cancel|eras|drop|discard|clear|clean|purg|trash|wip|overwrit|replac|reset|mov|renam)"
)
"""What a person says who wants something gone: naming a thing to read it is no leave to destroy it."""
DISTINCT = 8
"""Characters from which an id with letters and digits cannot be meant by chance."""


class Provenance:
    """What a run has been told, and by whom.

    Args:
        label_of: what is known of a tool.
    """

    def __init__(self, label_of: Callable[[ToolSpec], Label]) -> None:
        self._label_of = label_of
        self.tainted = ""
        """The call that first brought in text which strangers may have written; empty while there was none."""
        self._said = ""
        self._known: dict[tuple[str, str], Source] = {}
        self._secrets: dict[str, Source] = {}
        self._texts: list[tuple[str, Source]] = []
        self._words: dict[str, list[int]] = {}
        self._tools: dict[str, ToolSpec] = {}
        self._calls: dict[str, CallProposed] = {}

    def apply(self, event: Event) -> None:
        """Take an event into account, new or stored."""
        if type(event) is CallProposed:  # `isinstance` of nine kinds, five times a step, is slow
            self._calls[event.call_id] = event
        elif type(event) is CallFinished:
            self._finished(event)
        elif type(event) is Inside:
            self.apply(event.event)
        elif type(event) is RunStarted:
            self._tools |= {tool.identity: tool for tool in event.tools}
            self.say(event.instructions)
            if event.origin == "user":
                self.say(event.prompt)
            else:
                self.learn("prompt", STRANGE, event.prompt)
        elif type(event) is RunResumed:
            self._tools |= {tool.identity: tool for tool in event.tools}
        elif type(event) is MessageAdded and event.origin == "user":
            self.say(event.text)
        elif type(event) is ApprovalAnswered and event.by != "nobody":
            self._edited(event)

    def _edited(self, event: ApprovalAnswered) -> None:
        """What a person wrote there is their word, what they left as it was is not."""
        proposed = self._calls.get(event.call_id)
        before = {str(value) for _, value in leaves((proposed.arguments or {}) if proposed else {})}
        for _, value in leaves(event.arguments or {}):
            if str(value) not in before:
                self.say(str(value))

    def say(self, text: str) -> None:
        """Words of the user's own."""
        if text:
            self._said = f"{self._said}\n{plain(text)}"

    def _finished(self, event: CallFinished) -> None:
        proposed = self._calls.pop(event.result.call_id, None)
        tool = self._tools.get(proposed.tool) if proposed else None
        if tool is None or event.status in {"denied", "refused", "repeated"}:
            return

        label = self._label_of(tool)
        self.learn(event.result.call_id, label, event.result.text, event.result.data)

    def learn(self, call: str, label: Label, text: str, data: JsonValue = None) -> None:
        """Take in a call's result: its structured content if it has any, else its text."""
        if label.returns != "trusted" and not self.tainted:
            self.tainted = call

        data = parsed(text) if data is None else data
        if isinstance(data, list) and "returns" not in label.model_fields_set:
            self._enumerated(call, data)

        for row in rows(data, label.record):
            self._row(call, label, row)

    def _row(self, call: str, label: Label, row: Row) -> None:
        record = label.record
        own = bool(record.own) and is_own(record, row)
        named = (own or not record.own) and self._is_named(record, row)
        for field, value in row:
            base = field.split(".", 1)[0]
            shown = plain(str(value))
            if not shown:
                continue

            if record.id and base == record.id:
                self._know((record.of, shown), Source("user" if named or label.creates else "service", call, field))
            elif named and base in record.linked:
                self._know(("", shown), Source("user", call, field))
            elif (
                label.returns != "outsider"
                or (own and base in record.linked)
                or base in record.service
                or "*" in record.service
            ):
                self._know(("", shown), Source("service", call, field))

            if label.returns != "trusted" and isinstance(value, str):
                self._index(shown, Source("outsider", call, field))

            if label.private:
                self._secrets |= {token: Source("service", call, field) for token in secrets_in(str(value))}

    def _enumerated(self, call: str, data: list[JsonValue]) -> None:
        """A bare list of names: channels, branches, people. Only a name can be known by it, never an address."""
        for each in data:
            if isinstance(each, str) and ENUMERATED.fullmatch(each):
                self._know(("name", plain(each)), Source("service", call))

    def _is_named(self, record: Record, row: Row) -> bool:
        fields = dict(row)
        names = (plain(str(fields[name])) for name in record.name if fields.get(name))
        return any(self._has_said(each) for name in names for each in spoken(name))

    def _know(self, key: tuple[str, str], source: Source) -> None:
        before = self._known.get(key)
        if before is None or TRUST[source.origin] < TRUST[before.origin]:
            self._known[key] = source

    def _index(self, text: str, source: Source) -> None:
        place = len(self._texts)
        self._texts.append((text, source))
        for word in set(WORD.findall(text)):
            self._words.setdefault(word, []).append(place)

    def trace(self, label: Label, arguments: Mapping[str, JsonValue]) -> tuple[Finding, ...]:
        """Where the values came from that steer this call, and what its texts carry along."""
        if not (label.control or label.sends or label.data):
            return ()

        return tuple(self._trace(label, arguments))

    def _trace(self, label: Label, arguments: Mapping[str, JsonValue]) -> Iterator[Finding]:
        spared = "destructive" in label.does and not DESTROYING.search(self._said)
        for name, given in arguments.items():
            labelled = label.control.get(name)
            carried = name in label.data or (label.shapes and labelled is None)
            for key, value in leaves(given):
                if value is None or (labelled and labelled.key and key.rpartition(".")[2] != labelled.key):
                    continue

                control = labelled or (by_shape(name, value) if label.shapes else None)
                if control is not None:
                    source = self._source(control, value)
                    enough = not self.tainted or (not spared and TRUST[source.origin] <= TRUST[control.least])
                    yield Finding(name, str(value), control.kind, source, enough)

                linked = control is not None and control.kind == "url"
                if label.sends and isinstance(value, str) and "SECRET_" in value:
                    yield from self._filled_in(name, value)

                if carried and self.tainted and label.sends and isinstance(value, str) and not linked:
                    yield from self._carried(name, value)

    def _filled_in(self, name: str, text: str) -> Iterator[Finding]:
        """Secrets that the model has not read and hands on: the user's word is needed for each."""
        for match in PLACEHOLDER.finditer(text):
            if not self._has_said(plain(match.group())):
                yield Finding(name, match.group(), "secret", Source("unknown"), enough=False)

    def _carried(self, name: str, text: str) -> Iterator[Finding]:
        """Links that are not the user's, and the user's secrets."""
        for match in LINK.finditer(text):
            source = self._source(Control(kind="url"), match.group().rstrip(".,;:!?)"))
            yield Finding(name, match.group(), "link", source, TRUST[source.origin] <= TRUST["service"])

        for token in secrets_in(text):
            if token in self._secrets and not self._has_said(plain(token)):
                yield Finding(name, token, "secret", self._secrets[token], enough=False)

    def _source(self, control: Control, value: Any) -> Source:
        whole = shown = plain(str(value))
        if control.kind == "id":
            if self._has_said_id(control.of, shown):
                return Source("user")

            return self._known.get((control.of, shown)) or self._outsider(shown)

        if control.kind == "url":
            shown = address_of(whole)
            if any(
                leads_to(address_of(match.group().rstrip(".,;:!?)'\"")), shown) for match in URL.finditer(self._said)
            ):
                return Source("user")

        if self._has_said(shown):
            return Source("user")

        listed = self._known.get(("name", shown)) if control.kind == "name" else None
        known = self._known.get(("", whole)) or self._known.get(("", shown))
        return known or listed or self._outsider(shown)

    def _has_said_id(self, of: str, shown: str) -> bool:
        """Short ids are everywhere, so the user must have said what it is the id of."""
        distinct = len(shown) >= DISTINCT and not shown.isdigit() and not shown.isalpha()
        named = rf"\b{re.escape(of) or 'id'}(?: with| the| id| number| no)*\W{{1,3}}{re.escape(shown)}(?!\w|[.-]\w)"
        return (distinct and self._has_said(shown)) or (shown in self._said and bool(re.search(named, self._said)))

    def _has_said(self, shown: str) -> bool:
        return len(shown) > 1 and stands_in(shown, self._said)

    def _outsider(self, shown: str) -> Source:
        """The first text of others that has the value in it."""
        words = WORD.findall(shown)
        if not words:
            return Source("unknown")

        places: list[int] = min((self._words.get(word, []) for word in words), key=len)
        for place in places[:MANY]:
            text, source = self._texts[place]
            if stands_in(shown, text):
                return source

        return self._texts[places[0]][1] if len(places) > MANY else Source("unknown")
