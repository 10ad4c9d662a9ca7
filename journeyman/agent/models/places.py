"""The engine's slots: which one a run gets, and that a turn has its own to itself while it is drawn.

The engine would let two requests for one slot wait for each other, which is not enough for a turn that takes several:
one whose thought is steered leaves a request half-way and goes on with another. Where a second turn came between, one
answer in ten ended in the middle, at a token that nothing called for (xllamacpp 2026.10, 20 turns on 8 slots).
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from os.path import commonprefix

import anyio

from journeyman.agent.models.model import Request


class Places:
    def __init__(self, count: int) -> None:
        self._count = count
        self._free = anyio.Semaphore(count)
        self._queue = anyio.Lock()
        self._busy: set[int] = set()
        self._slots: dict[str, int] = {}
        """Of each run, the one that was used longest ago first."""
        self._heads: dict[int, str] = {}
        """How the last run of each slot began."""

    @asynccontextmanager
    async def room(self, turns: int = 1) -> AsyncGenerator[None]:
        """Wait until so many slots are free of turns under way; who waits longest is next."""
        taken = 0
        try:
            async with self._queue:  # one at a time, or two groups would each hold what the other waits for
                for _ in range(turns):
                    await self._free.acquire()
                    taken += 1

            yield
        finally:
            for _ in range(taken):
                self._free.release()

    @asynccontextmanager
    async def one(self, request: Request) -> AsyncGenerator[int]:
        """The slot that keeps this run's prefix, for a turn of it; -1 where there is only one."""
        async with self.room():
            slot = self.slot(request)
            self._busy.add(slot)
            try:
                yield slot
            finally:
                self._busy.discard(slot)

    def slot(self, request: Request) -> int:
        """A new run gets the free one whose last run began most like it, or the one that was used longest ago."""
        if self._count == 1:
            return -1

        slot = self._slots.pop(request.run_id, None)
        if slot is None or slot in self._busy:
            head = request.system + request.messages[0].text
            idle = set(range(self._count)) - self._busy
            free = idle - set(self._slots.values())
            alike = {each: len(commonprefix([head, self._heads.get(each, "")])) for each in sorted(free)}  # noqa: RUF071
            slot = max(alike, key=alike.__getitem__) if free else self._taken_from(idle)
            self._heads[slot] = head

        self._slots[request.run_id] = slot
        return slot

    def forget(self, run_id: str) -> None:
        self._slots.pop(run_id, None)

    def _taken_from(self, idle: set[int]) -> int:
        owner = next((run for run, slot in self._slots.items() if slot in idle), None)
        return self._slots.pop(owner) if owner else min(idle)
