"""What is known of a server: what it offers, what it was pinned as, and what was learned when it was last used."""

import json
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from journeyman.errors import ServerError
from journeyman.safe import safe
from journeyman.tools.definition import usable
from journeyman.tools.pins import Offers, Pins, besides, differences
from journeyman.tools.target import Builtin, Target

if TYPE_CHECKING:
    from mcp_types import Tool


class Known:
    """Of one server.

    Args:
        target: the server.
        pins: what its tools must look like; without them anything goes.
    """

    def __init__(self, target: Target, pins: Pins | None) -> None:
        self.target = target
        self.definitions: dict[str, str] = {}
        """Of the tools as they were last listed, whole and canonical."""
        self.offers: Offers = {}
        """What it has besides tools and is as it was pinned, as it was last listed."""
        self._odd: set[str] = set()
        """What it has besides that is new or has changed."""
        self.notices: list[str] = []
        """What was left out, a sentence each."""
        self._pins = None if isinstance(target, Builtin) else pins
        self._pinned: dict[str, str] | None = None
        self._strange = False
        """A tool was listed that is not as it was pinned."""

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def remembered(self) -> Mapping[str, Any]:
        """What was learned earlier."""
        return self._pins.remembered(self.target) if self._pins else {}

    @property
    def is_known(self) -> bool:
        """It was pinned, and had not changed when it was last seen."""
        return self._pins is not None and not self.remembered.get("changed") and "tools" in self.remembered

    def recalled(self) -> "list[Tool]":
        """The tools of a server that is known, as they were pinned.

        Raises:
            ConfigError: the pins are damaged.
        """
        pinned = self._pins.of(self.target) if self._pins else None
        self.definitions = dict(pinned or {})
        self.offers = self.remembered.get("offers", {})
        if self.remembered.get("odd"):
            self.notice(f"what it offers besides tools has changed; {self._accept}")

        tools = [usable(json.loads(text), self.notice) for text in self.definitions.values()]
        return [tool for tool in tools if tool is not None]

    def forget(self) -> None:
        """Make ready for a list to come in."""
        self.definitions = {}
        self._pinned = self._pins.of(self.target) if self._pins else None

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def saw(self, name: str, definition: str) -> None:
        """Whenever a list comes in, asked for by us or by the SDK."""
        self.definitions[name] = definition
        self._strange = self._strange or (self._pinned is not None and self._pinned.get(name) != definition)

    def compare(self) -> None:
        """Pin what is seen for the first time, and stop what is not what it was.

        Raises:
            ServerError: something is not.
        """
        if self._pins is None:
            return

        if self._pinned is None:
            self._pins.pin(self.target, self.definitions)
            self._pinned = dict(self.definitions)

        self._strange = self._pinned != self.definitions
        self.remember(changed=self._strange)
        self.refuse_strange()

    def refuse_strange(self) -> None:
        """Let nothing be called that is not as it was pinned.

        Raises:
            ServerError: something is not.
        """
        if self._strange:
            changed = "; ".join(islice(differences(self._pinned or {}, self.definitions), 3))
            raise ServerError(
                f"MCP server {self.name!r} is in quarantine, its tools are not what they were: {changed}",
                fix=self._accept,
            )

    def saw_besides(self, offers: Offers) -> None:
        """Whenever what it has besides tools comes in: pinned the first time, and compared from then on."""
        pinned, now = self.remembered.get("offers", offers), besides(offers)
        before = besides(pinned)
        self._odd = {name for name in now if before.get(name) != now[name]}
        self.offers = {
            kind: [each for each in found if not besides({kind: [each]}).keys() & self._odd]
            for kind, found in offers.items()
        }
        self.remember(offers=pinned, odd=before != now)

    def refuse_odd(self, kind: str, name: str) -> None:
        """Let nothing be used that is not as it was pinned.

        Raises:
            ServerError: it is not.
        """
        is_odd = f"{kind} {name}" in self._odd
        if kind == "resource" and any(each.startswith("template ") for each in self._odd):
            # which addresses a template stands for is the server's to say
            is_odd = name not in [each["name"] for each in self.offers.get("resources", ())]

        if is_odd:
            told = f"the {kind} {safe(name, 100)} of MCP server {self.name!r} is not as it was pinned"
            raise ServerError(told, fix=self._accept)

    @property
    def _accept(self) -> str:
        return f"look: journeyman mcp diff {self.name}; then accept: journeyman mcp pin {self.name}"

    def remember(self, **facts: Any) -> None:
        """Keep what was learned, for the next time."""
        if self._pins is not None:
            self._pins.remember(self.target, facts)
