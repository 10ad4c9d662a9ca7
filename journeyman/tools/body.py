"""The bodies of HTTP responses, kept within what a message may have."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2

from journeyman.errors import ServerError
from journeyman.tools.stdio import MOST


async def bound(response: Any) -> None:
    """No body is read beyond what a message may have. One that was packed could unfold to anything.

    Raises:
        ServerError: it was packed, though nobody asked for that.
    """
    if response.headers.get("content-encoding", "identity") != "identity":
        raise ServerError("the server's answer is packed, which nobody asked for")

    if "text/event-stream" not in response.headers.get("content-type", ""):  # a stream is bounded event by event
        response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    """The stream of a response's body."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > MOST:
                raise ServerError(f"the server's answer is larger than {MOST:,} bytes")

            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
