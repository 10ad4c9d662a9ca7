"""A connection to a server while it lasts, and what the server tells unasked: changed lists, changed resources.

In the older era it just says so; in the present one it says what it was asked to tell of.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup

from journeyman.tools.tail import Tail

if TYPE_CHECKING:
    from mcp import Client

WATCHED = 20
"""Resources of one server."""


@dataclass(slots=True)
class News:
    """What a server has told, over all its connections."""

    stale: bool = False
    """The list of its tools may have changed."""
    resources: dict[str, None] = field(default_factory=dict)
    """Those that have changed since they were read."""


@dataclass(slots=True)
class Connection:
    client: "Client"
    stderr: Tail
    ended: anyio.Event
    """Nothing more will be heard from it."""
    news: News
    over: anyio.Event = field(default_factory=anyio.Event)
    """It is not needed any more."""
    _group: TaskGroup | None = None
    """Where it is listened to."""
    _watched: set[str] = field(default_factory=set)
    """The resources whose changes it was asked to tell of."""

    @property
    def is_modern(self) -> bool:
        """It is of the present era."""
        return self.client.session.discover_result is not None

    async def listen(self) -> None:
        """Hear what it tells until it is not needed any more."""
        async with anyio.create_task_group() as self._group:
            self._group.start_soon(self._hear)
            await self.over.wait()
            self._group.cancel_scope.cancel()

    async def heard(self, message: Any) -> None:
        """Take a notification of the older era."""
        method = getattr(message, "method", "")
        if method.endswith("/list_changed"):
            self.news.stale = True
        elif method == "notifications/resources/updated":
            self._changed(str(message.params.uri))

    async def watch(self, uri: str, patience: float) -> None:
        """Have it told, from now on, that this resource changed, where the server can, and says so in time."""
        resources = self.client.server_capabilities.resources
        if uri in self._watched or len(self._watched) >= WATCHED or not (resources and resources.subscribe):
            return

        if self._group is None:
            return

        self._watched.add(uri)
        with anyio.move_on_after(patience):
            if not self.is_modern:
                await self._subscribe(uri)
                return

            begun = anyio.Event()
            self._group.start_soon(self._hear, uri, begun)
            await begun.wait()

    def _changed(self, uri: str) -> None:
        """Only what was asked for is told: nothing else that a server calls so can be trusted to be an address."""
        if uri in self._watched:
            self.news.resources[uri] = None

    async def _hear(self, uri: str = "", begun: anyio.Event | None = None) -> None:
        """Hear of changed lists, or of one resource, in the present era."""
        can = self.client.server_capabilities
        lists = {
            f"{kind}_list_changed": True
            for kind in ("tools", "prompts", "resources")
            if not uri and (able := getattr(can, kind)) is not None and able.list_changed
        }
        if not self.is_modern or not (lists or uri):
            return

        try:
            async with self.client.listen(**lists, resource_subscriptions=[uri] if uri else []) as changes:
                if begun is not None:
                    begun.set()

                async for change in changes:
                    if uri:
                        self._changed(getattr(change, "uri", uri))
                    else:
                        self.news.stale = True
        except Exception:  # noqa: BLE001 - a server that cannot is one that need not
            if begun is not None:
                begun.set()

    async def _subscribe(self, uri: str) -> None:
        """In the older era; the SDK's own method warns of that."""
        from mcp import MCPError  # noqa: PLC0415
        from mcp_types import EmptyResult, SubscribeRequest, SubscribeRequestParams  # noqa: PLC0415

        with suppress(MCPError):  # a server that cannot is one that need not
            request = SubscribeRequest(params=SubscribeRequestParams(uri=uri))
            await self.client.session.send_request(request, EmptyResult)
