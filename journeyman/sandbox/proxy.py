"""The one way out of a sandbox that may reach some hosts: an HTTP proxy whose every connection `Egress` judges.

Plain HTTP is forwarded one request a connection, under the name that was judged; HTTPS goes through `CONNECT`
tunnels that are not looked into. A refusal is a 403 whose body says why, so that the code inside can tell its author.
"""

import shutil
import socket
import tempfile
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from anyio.abc import ByteStream, Listener, SocketListener

from journeyman.errors import ToolError
from journeyman.sandbox.egress import Decision, Egress
from journeyman.sandbox.inside.door import DOOR

if TYPE_CHECKING:
    import h11

HEAD_S = 30.0
CONNECTION_S = 600.0
"""However it is used, a connection ends then."""
AT_ONCE = 64
MOST_DECISIONS = 1000
"""That are kept until somebody asks for them."""
MAX_HEAD = 64 * 1024
CHUNK = 64 * 1024
CLOSE = (b"Connection", b"close")
OURS = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"te", b"upgrade", b"host"}
)
"""Headers that are between a client and its proxy, or that the proxy writes itself."""
GONE = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError)


class Proxy:
    """Serves connections until it is cancelled."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._at_once = anyio.CapacityLimiter(AT_ONCE)

    async def serve(self, listener: Listener[ByteStream]) -> None:
        await listener.serve(self._accept)

    async def _accept(self, client: ByteStream) -> None:
        import h11  # noqa: PLC0415 - on first use

        async with client:
            try:
                self._at_once.acquire_on_behalf_of_nowait(client)
            except anyio.WouldBlock:
                return

            try:
                with anyio.move_on_after(CONNECTION_S):
                    await self._handle(client)
            except (*GONE, h11.ProtocolError):
                return
            finally:
                self._at_once.release_on_behalf_of(client)

    async def _handle(self, client: ByteStream) -> None:
        import h11  # noqa: PLC0415 - on first use

        near = _Peer(client, h11.SERVER)
        with anyio.move_on_after(HEAD_S):
            request = await near.next()

        if not isinstance(request, h11.Request):
            return

        try:
            host, port = _target(request)
            stream = await self._egress.connect(host, port)
        except ToolError as refused:
            await near.answer(403, str(refused))
            return

        async with stream:
            if request.method == b"CONNECT":
                await client.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await _tunnel(client, stream, near.connection.trailing_data[0])
            else:
                await _forward(near, _Peer(stream, h11.CLIENT), request)


class _Peer:
    """One side of a forwarded request."""

    def __init__(self, stream: ByteStream, role: "type[h11.CLIENT | h11.SERVER]") -> None:
        import h11  # noqa: PLC0415 - on first use

        self.stream = stream
        self.connection = h11.Connection(role, max_incomplete_event_size=MAX_HEAD)

    async def next(self) -> object:
        """An event of h11, or its mark for a peer that has said all."""
        import h11  # noqa: PLC0415 - on first use

        while (event := self.connection.next_event()) is h11.NEED_DATA:
            if self.connection.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))

            try:
                self.connection.receive_data(await self.stream.receive(CHUNK))
            except anyio.EndOfStream:
                self.connection.receive_data(b"")

        return event

    async def send(self, event: "h11.Event") -> None:
        if data := self.connection.send(event):
            await self.stream.send(data)

    async def answer(self, status: int, text: str) -> None:
        import h11  # noqa: PLC0415 - on first use

        body = f"{text}\n".encode()
        length = str(len(body)).encode()
        headers = [(b"Content-Type", b"text/plain; charset=utf-8"), (b"Content-Length", length), CLOSE]
        await self.send(h11.Response(status_code=status, headers=headers))
        await self.send(h11.Data(data=body))
        await self.send(h11.EndOfMessage())


def _target(request: "h11.Request") -> tuple[str, int]:
    """Where a request wants to go. Raises ToolError."""
    target = request.target.decode("latin-1")
    try:
        url = urlsplit(f"//{target}" if request.method == b"CONNECT" else target)
        port = url.port or (443 if request.method == b"CONNECT" else 80)
    except ValueError:
        raise ToolError("this is no address that can be reached") from None

    if not url.hostname or url.scheme not in {"", "http"} or "@" in url.netloc:
        raise ToolError("only http:// addresses and CONNECT tunnels are forwarded")

    return url.hostname, port


async def _forward(near: _Peer, far: _Peer, request: "h11.Request") -> None:
    import h11  # noqa: PLC0415 - on first use

    url = urlsplit(request.target.decode("latin-1"))
    path = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
    headers = [(b"Host", url.netloc.encode("latin-1")), *_passed(request.headers), CLOSE]
    await far.send(h11.Request(method=request.method, target=path, headers=headers))
    await _relay(near, far)
    while not isinstance(answer := await far.next(), h11.Response):
        if not isinstance(answer, h11.InformationalResponse):
            return

    headers = [*_passed(answer.headers), CLOSE]
    await near.send(h11.Response(status_code=answer.status_code, reason=answer.reason, headers=headers))
    await _relay(far, near)


async def _relay(source: _Peer, sink: _Peer) -> None:
    """The body, to its end."""
    import h11  # noqa: PLC0415 - on first use

    while isinstance(event := await source.next(), h11.Data | h11.EndOfMessage):
        await sink.send(event)
        if isinstance(event, h11.EndOfMessage):
            return


def _passed(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name not in OURS]


async def _tunnel(client: ByteStream, upstream: ByteStream, first: bytes) -> None:
    if first:
        await upstream.send(first)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_pump, client, upstream)
        tasks.start_soon(_pump, upstream, client)


async def _pump(source: ByteStream, sink: ByteStream) -> None:
    try:
        async for data in source:
            await sink.send(data)

        await sink.send_eof()
    except GONE:
        await anyio.aclose_forcefully(sink)
        await anyio.aclose_forcefully(source)


class Outlet:
    """A proxy in a thread of its own, for one sandbox, on a listener that the sandbox's supervisor made.

    The supervisor alone can do that: a network namespace is listened in from inside. It hands the listener over a
    socket in a folder that is shown to it, which is gone before any untrusted code runs. Everything here blocks.
    """

    def __init__(self, hosts: Sequence[str]) -> None:
        self._decisions: deque[Decision] = deque(maxlen=MOST_DECISIONS)
        self._proxy = Proxy(Egress(hosts, self._decisions.append))
        self._over = Event()
        self._running = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="journeyman-outlet-"))
        self._running.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.folder.chmod(0o755)
        self._door = socket.socket(socket.AF_UNIX)
        self._running.callback(self._door.close)
        self._door.bind(str(self.folder / DOOR))
        (self.folder / DOOR).chmod(0o777)
        self._door.listen(1)

    def begin(self, visitor: socket.socket | None = None) -> None:
        """Serve from now on what is handed over at the door, or on another socket. Raises OSError: nothing is."""
        self._door.settimeout(HEAD_S)
        with visitor or self._door.accept()[0] as hand:
            hand.settimeout(HEAD_S)
            _, numbers, _, _ = socket.recv_fds(hand, 1, 1)

        (self.folder / DOOR).unlink()
        self._door.close()
        if not numbers:
            raise OSError("no listener came out of the sandbox")

        Thread(target=anyio.run, args=(self._serve, socket.socket(fileno=numbers[0])), daemon=True).start()

    def decisions(self) -> tuple[Decision, ...]:
        """Those since this was last asked."""
        taken = []
        while self._decisions:
            taken.append(self._decisions.popleft())

        return tuple(taken)

    def close(self) -> None:
        self._running.close()
        self._over.set()

    async def _serve(self, listening: socket.socket) -> None:
        async with await SocketListener.from_socket(listening) as listener, anyio.create_task_group() as tasks:
            tasks.start_soon(self._proxy.serve, listener)
            await anyio.to_thread.run_sync(self._over.wait, abandon_on_cancel=True)
            tasks.cancel_scope.cancel()
