"""HTTP to the engine's loopback port: JSON in, JSON or server-sent JSON out, one connection a call.

Closing a connection is how generation is cancelled: the engine notices when it next has something to say. A general
client would take longer to import than the model takes to load.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import anyio
from anyio.abc import SocketStream

from journeyman.agent.models.parse import read_json

SILENCE = 600.0
"""Seconds without a byte after which the engine counts as hung; it reports after each batch of the prompt."""
CHUNK = 65536


class Refused(Exception):
    """The engine answered with an error status."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"HTTP {status}: {body[:500].decode(errors='replace')}")
        self.status = status
        answer = read_json(body)
        error = answer.get("error") if isinstance(answer, dict) else None
        self.error: dict[str, Any] = error if isinstance(error, dict) else {}


class Wire:
    """The engine at `address`, with its key.

    Every method raises OSError where the connection fails or breaks, or what comes is no JSON, TimeoutError where
    nothing comes for `SILENCE` seconds, and `Refused` where the engine says no.
    """

    def __init__(self, address: str, key: str) -> None:
        host, _, port = address.removeprefix("http://").rpartition(":")
        self._host, self._port, self._key = host, int(port), key

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON answer to one request."""
        return await self._answer("POST", path, body)

    async def get(self, path: str) -> Any:
        return await self._answer("GET", path, None)

    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """The answer's server-sent events as they come."""
        rest = b""
        exchange = self._exchange("POST", path, body)
        try:
            async for data in exchange:
                *events, rest = (rest + data).split(b"\n\n")
                for event in events:
                    _, _, payload = event.partition(b": ")
                    if payload.startswith(b"{"):
                        yield _unless_error(payload)
        finally:
            await exchange.aclose()

    async def _answer(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        return _json(b"".join([data async for data in self._exchange(method, path, body)]))

    async def _exchange(self, method: str, path: str, body: Mapping[str, Any] | None) -> AsyncGenerator[bytes]:
        import h11  # noqa: PLC0415 - on first use

        payload = b"" if body is None else json.dumps(body).encode()
        head = h11.Request(
            method=method,
            target=path,
            headers=[
                ("Host", self._host),
                ("Authorization", f"Bearer {self._key}"),
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(payload))),
                ("Connection", "close"),
            ],
        )
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 24)
        sent = b"".join(http.send(event) or b"" for event in (head, h11.Data(data=payload), h11.EndOfMessage()))
        with anyio.fail_after(10):
            socket = await anyio.connect_tcp(self._host, self._port)

        try:
            with anyio.fail_after(SILENCE):
                await socket.send(sent)

            async for data in _answer(http, socket):
                yield data
        except (anyio.EndOfStream, anyio.BrokenResourceError, h11.RemoteProtocolError) as error:
            raise ConnectionError("the engine's connection broke") from error
        finally:
            await anyio.aclose_forcefully(socket)


def _json(data: bytes) -> Any:
    """The value of JSON text; null is none that an engine sends."""
    value = read_json(data)
    if value is None:
        raise ConnectionError(f"the engine's answer is no JSON: {data[:100]!r}")

    return value


def _unless_error(payload: bytes) -> dict[str, Any]:
    event = _json(payload)
    if "error" in event or ("code" in event and "message" in event):
        raise Refused(500, payload)

    return event


async def _answer(http: Any, socket: SocketStream) -> AsyncGenerator[bytes]:
    import h11  # noqa: PLC0415 - on first use

    status, wrong = 0, b""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            with anyio.fail_after(SILENCE):
                http.receive_data(await _received(socket))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            if status == 200:  # noqa: PLR2004 - HTTP's own number
                yield bytes(event.data)
            else:
                wrong += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            break

    if status != 200:  # noqa: PLR2004 - HTTP's own number
        raise Refused(status, wrong)


async def _received(socket: SocketStream) -> bytes:
    """The next bytes; none at the end, which h11 judges."""
    try:
        return await socket.receive(CHUNK)
    except anyio.EndOfStream:
        return b""
