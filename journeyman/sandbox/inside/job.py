"""One process at work: what goes in, what comes out, and when it must stop.

Output is kept up to its room and counted beyond it; a process that floods, or is late, is for the supervisor to end.
Everything is non-blocking, because the process at the other end may do anything, or nothing.
"""

import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from journeyman.sandbox.inside.frames import Frame, Malformed, Reader

End = Literal["answered", "ended", "late", "flood", "malformed"]
FLOOD = 64
"""Times its room that a process may write before it is ended instead of merely cut."""
_CHUNK = 1 << 16


@dataclass
class Job:
    pid: int
    out: int
    err: int
    feed: int
    """Where `pending` goes: a command's stdin, or the worker's channel; -1 where nothing goes in."""
    pending: memoryview
    room: int
    """Bytes of stdout and stderr that are kept."""
    channel: socket.socket | None = None
    """The worker's, on which it answers."""
    reader: Reader | None = None
    answer: Frame | None = None
    kept: dict[int, bytearray] = field(default_factory=dict)
    written: int = 0
    peak_kb: int = 0

    def run(self, deadline: float, wake: int, host: int, ended: Callable[[], bool]) -> End:
        """Move bytes until it answers, ends (`ended`, asked whenever `wake` is readable), or must be stopped.

        A word from the `host` meanwhile means that nobody waits for it any more.
        """
        poller = select.poll()
        for source in (self.out, self.err, wake, host):
            poller.register(source, select.POLLIN)

        if self.feed >= 0:
            poller.register(self.feed, select.POLLIN | select.POLLOUT)
            self._push(poller)

        while (left := deadline - time.monotonic()) > 0:
            events = dict(poller.poll(left * 1000))
            if events.pop(host, 0):
                return "late"

            over = events.pop(wake, 0) and ended()
            for source, event in events.items():
                if not self._move(poller, source, event):
                    return "malformed"

            if self.written > FLOOD * max(self.room, _CHUNK):
                return "flood"

            if self.answer is not None or over:
                self._drain(poller)
                return "answered" if self.answer is not None else "ended"

        return "late"

    def begin(self, pending: memoryview, room: int) -> None:
        """Forget what the worker's previous cell wrote, and have the next one in hand."""
        self.pending, self.room = pending, room
        self.answer, self.kept, self.written = None, {}, 0

    def close(self) -> None:
        if self.channel is not None:
            self.channel.close()
            self.feed = -1

        for number in (self.out, self.err, self.feed):
            if number >= 0:
                os.close(number)

    def text(self, source: int) -> bytes:
        return bytes(self.kept.get(source, b""))

    def _move(self, poller: select.poll, source: int, event: int) -> bool:
        """Whether all is well with what came."""
        if source not in {self.out, self.err}:
            return self._talk(poller, source, event)

        if not self._take(source):
            poller.unregister(source)

        return True

    def _take(self, source: int) -> bool:
        """Whether there may be more."""
        try:
            data = os.read(source, _CHUNK)
        except BlockingIOError:
            return True

        left = self.room - sum(len(kept) for kept in self.kept.values())
        self.kept.setdefault(source, bytearray()).extend(data[: max(left, 0)])
        self.written += len(data)
        return bool(data)

    def _drain(self, poller: select.poll) -> None:
        """What was written before the end and not read yet; no more than a pipe holds."""
        for _ in range(16):
            ready = [source for source, _ in poller.poll(0) if source in {self.out, self.err}]
            if not [source for source in ready if self._move(poller, source, select.POLLIN)]:
                return

    def _talk(self, poller: select.poll, source: int, event: int) -> bool:
        """Move bytes of the channel or of stdin. Whether all is well with what came."""
        if event & select.POLLIN and self.channel is not None and self.reader is not None:
            try:
                data = self.channel.recv(_CHUNK)
                self.answer = self.reader.feed(data)
            except (Malformed, BlockingIOError, ConnectionError):
                return False

            if self.answer is not None:
                return not self.reader

            if not data:
                poller.unregister(source)
                return True

        if event & (select.POLLOUT | select.POLLERR | select.POLLHUP):
            self._push(poller)

        return True

    def _push(self, poller: select.poll) -> None:
        """Write what fits; when all is written, a worker is listened to, and a command gets the end of its input."""
        gone = False
        with suppress(BlockingIOError):
            try:
                self.pending = self.pending[os.write(self.feed, self.pending[:_CHUNK]) :]
            except ConnectionError:
                gone = True

        if self.pending and not gone:
            return

        if self.channel is not None and not gone:
            poller.modify(self.feed, select.POLLIN)
            return

        poller.unregister(self.feed)
        if self.channel is None:
            os.close(self.feed)
            self.feed = -1
