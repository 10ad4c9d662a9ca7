"""One client of the engine: what it is told, in order, at its own pace.

Nothing here waits for a client. What a slow one has not taken yet is joined where it can be; one that takes nothing is
let go, and can come back and read what it missed.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
from acp.connection import Connection
from acp.exceptions import RequestError
from anyio.abc import TaskGroup

from journeyman.engine.wire import OURS

Json = dict[str, Any]
JOINED = {"agent_message_chunk", "agent_thought_chunk"}
JOINED_TO = 4096
"""Characters."""
MOST = 20_000
"""Messages that may wait for a client."""
LEAVING_S = 5.0


class Peer:
    def __init__(self) -> None:
        self.notes = False
        """It understands what is ours."""
        self.gone = anyio.Event()
        self._connection: Connection | None = None
        self._outbox: deque[tuple[str, Json] | Callable[[], None]] = deque()
        self._wake = anyio.Event()
        self._busy = False
        """Something of it is being sent."""

    async def serve(self, connection: Connection, group: TaskGroup) -> None:
        """Be a client until the connection ends."""
        self._connection = connection
        group.start_soon(self._work)
        with suppress(ConnectionError):
            await connection.main_loop()

        self.leave()

    def leave(self) -> None:
        self.gone.set()
        self._wake.set()

    def tell(self, method: str, params: Json) -> None:
        """Send it a notification, in time."""
        if len(self._outbox) >= MOST:
            self.leave()

        if self.gone.is_set():
            return

        self._outbox.append((method, params))
        self._wake.set()

    def update(self, session_id: str, update: Json) -> None:
        last = self._outbox[-1] if self._outbox else None
        if isinstance(last, tuple) and last[0] == "session/update" and last[1]["sessionId"] == session_id:
            joined = join(last[1]["update"], update)
            if joined is not None:
                self._outbox[-1] = ("session/update", {"sessionId": session_id, "update": joined})
                return

        self.tell("session/update", {"sessionId": session_id, "update": update})

    async def told(self) -> None:
        """Wait until it has been sent everything so far, or is gone."""
        if not (self._outbox or self._busy):
            return

        sent = anyio.Event()
        self._after(sent.set)
        async with anyio.create_task_group() as group:
            group.start_soon(_then, self.gone.wait, group.cancel_scope.cancel)
            group.start_soon(_then, sent.wait, group.cancel_scope.cancel)

    async def room(self) -> None:
        """Wait where it has much to take in already."""
        if len(self._outbox) > MOST // 20:
            await self.told()

    async def ask(self, method: str, params: Json) -> Json | None:
        """Its answer to a request; None where it has none, or is gone."""
        await self.told()
        if self._connection is None or self.gone.is_set():
            return None

        with suppress(ConnectionError, RequestError):
            answer = await self._connection.send_request(method, params)
            return answer if isinstance(answer, dict) else None

        return None

    def _after(self, act: Callable[[], None]) -> None:
        self._outbox.append(act)
        self._wake.set()

    async def _work(self) -> None:
        connection = self._connection
        while connection is not None and not self.gone.is_set():
            await self._wake.wait()
            self._wake = anyio.Event()
            self._busy = True
            while self._outbox and not self.gone.is_set():
                item = self._outbox.popleft()
                if not isinstance(item, tuple):
                    item()
                    continue

                try:
                    await connection.send_notification(*item)
                except (ConnectionError, OSError):
                    self.gone.set()

            self._busy = False

        if connection is not None:
            with anyio.move_on_after(LEAVING_S, shield=True), suppress(ConnectionError, OSError):
                await connection.close()


def join(first: Json, second: Json) -> Json | None:
    """Two pieces of the same text as one; None where they are not."""
    kind = second["sessionUpdate"]
    if kind not in JOINED or first["sessionUpdate"] != kind or first["_meta"][OURS] or second["_meta"][OURS]:
        return None

    text = first["content"]["text"]
    if len(text) > JOINED_TO:  # so that each is copied a few times at most
        return None

    return {**first, "content": {"type": "text", "text": text + second["content"]["text"]}}


async def _then(wait: Callable[[], Awaitable[None]], act: Callable[[], None]) -> None:
    await wait()
    act()
