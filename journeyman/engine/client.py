"""A thin client of the engine: what a front end needs, and nothing of what the engine is made of.

    async with connect() as client:                       # starts the engine if there is none
        opened = await client.new(Path.cwd())
        async with anyio.create_task_group() as group:
            group.start_soon(client.prompt, opened["sessionId"], "How many lines does notes.txt have?")
            async for message in client.messages:          # Update | Ask | Note, in the order the engine sent them
                ...

Values are ACP's own JSON, as `wire.py` and https://agentclientprotocol.com describe it. Leaving the client ends no
turn: the engine goes on, and another client can follow the session.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import Any, cast

import anyio

from journeyman.engine import wire
from journeyman.engine.place import log_path, socket_path
from journeyman.engine.reach import reached
from journeyman.errors import Disconnected, JourneymanError, UsageError, known
from journeyman.sandbox.wire import Wire

STARTING_S = 60.0
"""For an engine to start; on a busy machine its imports take a while."""


@dataclass(frozen=True, slots=True)
class Update:
    """`session/update`: `update["sessionUpdate"]` tells which."""

    session_id: str
    update: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.update.get("sessionUpdate", ""))

    @property
    def ours(self) -> "wire.UpdateMeta":
        return cast("wire.UpdateMeta", (self.update.get("_meta") or {}).get(wire.OURS) or {})


@dataclass(frozen=True, slots=True)
class Note:
    """A notification of ours: `method` is one of `wire.NOTE`, `QUEUE`, `SETTLED`, `TURN`."""

    method: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """`session/request_permission`. Answer it, once, with `Client.answer`; `SETTLED` says that another client has."""

    id: Any
    session_id: str
    call: dict[str, Any]
    """ACP's tool call."""
    options: list[dict[str, Any]]
    ours: "wire.PermissionMeta"


Message = Update | Note | Ask


@dataclass(slots=True)
class _Waiting:
    done: anyio.Event = field(default_factory=anyio.Event)
    result: Any = None
    error: JourneymanError | None = None


class Client:
    """Made by `connect`. Every method may be called from any task of its event loop."""

    def __init__(self, link: Wire) -> None:
        self._link = link
        self._sending = anyio.Lock()
        self._waiting: dict[int, _Waiting] = {}
        self._count = 0
        self._gone: Disconnected | None = None
        self._send, self.messages = anyio.create_memory_object_stream[Message](inf)
        """What the engine says, until it is gone; it ends then."""
        self.agent: dict[str, Any] = {}
        """The engine's answer to `initialize`."""

    async def new(self, cwd: Path, settings: "wire.Settings | None" = None, servers: list[Any] | None = None) -> Any:
        """`session/new`. The result has `sessionId`, `modes`, `configOptions`, and `wire.Opened` in its `_meta`."""
        return await self.request("session/new", _opening(cwd, settings, servers))

    async def load(self, session_id: str, cwd: Path, settings: "wire.Settings | None" = None) -> Any:
        """`session/load`: follow a session, and hear first all that was said in it."""
        return await self.request("session/load", _opening(cwd, settings, None) | {"sessionId": session_id})

    async def resume(self, session_id: str, cwd: Path, settings: "wire.Settings | None" = None) -> Any:
        """`session/resume`: follow it without that; `history` has it in pages."""
        return await self.request("session/resume", _opening(cwd, settings, None) | {"sessionId": session_id})

    async def fork(self, session_id: str, cwd: Path, settings: "wire.Settings | None" = None) -> Any:
        """`session/fork`: a new session that begins with all that was said in this one."""
        return await self.request("session/fork", _opening(cwd, settings, None) | {"sessionId": session_id})

    async def close(self, session_id: str) -> None:
        """`session/close`: follow it no longer; a turn under way is stopped if nobody else follows it."""
        await self.request("session/close", {"sessionId": session_id})

    async def sessions(self, cwd: Path | None = None, cursor: str | None = None) -> Any:
        """`session/list`, last used first; with `wire.SessionMeta` in the `_meta` of each."""
        asked = {"cwd": str(cwd) if cwd else None, "cursor": cursor}
        return await self.request("session/list", {name: value for name, value in asked.items() if value})

    async def prompt(self, session_id: str, text: str, *resources: Mapping[str, Any]) -> Any:
        """`session/prompt`: waits for the end of the turn; `stopReason` tells how it ended.

        While another turn is under way it waits for that first.

        Raises:
            JourneymanError: the turn failed, as `journeyman run` would have.
        """
        blocks = [{"type": "text", "text": text}, *resources]
        return await self.request("session/prompt", {"sessionId": session_id, "prompt": blocks})

    async def cancel(self, session_id: str) -> None:
        """`session/cancel`: interrupt the turn under way. What waits behind it is held up."""
        await self.notify("session/cancel", {"sessionId": session_id})

    async def set_mode(self, session_id: str, mode: str) -> None:
        """`session/set_mode`: another policy, from the next turn on."""
        await self.request("session/set_mode", {"sessionId": session_id, "modeId": mode})

    async def set_option(self, session_id: str, option: str, value: str) -> Any:
        """`session/set_config_option`: `model`, `think` or `effort`, from the next turn on."""
        asked = {"sessionId": session_id, "configId": option, "value": value}
        return await self.request("session/set_config_option", asked)

    async def history(self, session_id: str, before: int | None = None, limit: int = 400) -> "wire.HistoryPage":
        page = {"before": before} if before is not None else {}
        return await self.request(wire.HISTORY, {"sessionId": session_id, "limit": limit, **page})

    async def rewind(self, session_id: str, seq: int) -> "wire.Rewound":
        return await self.request(wire.REWIND, {"sessionId": session_id, "seq": seq})

    async def steer(self, session_id: str, text: str) -> None:
        await self.request(wire.STEER, {"sessionId": session_id, "text": text})

    async def shell(self, session_id: str, command: str) -> Any:
        """Run a command as the user's own call; the result is that of `prompt`."""
        return await self.request(wire.SHELL, {"sessionId": session_id, "command": command})

    async def queue(self, session_id: str, *, drop: str | None = None, resume: bool = False) -> "wire.Queue":
        asked = {"drop": drop} if drop else {"resume": resume}
        return await self.request(wire.QUEUE, {"sessionId": session_id, **asked})

    async def state(self, session_id: str) -> "wire.State":
        return await self.request(wire.STATE, {"sessionId": session_id})

    async def mind_server(self, session_id: str, server: str, do: str) -> "wire.State":
        return await self.request(wire.SERVER, {"sessionId": session_id, "server": server, "do": do})

    async def stop(self) -> None:
        """End the engine."""
        with suppress(Disconnected):  # it may be gone before it can say so
            await self.request(wire.STOP, {})

    async def answer(self, ask: Ask, option: "wire.OptionId | None", **more: Any) -> None:
        """Answer a question: an option's id (None: dismiss it), and `wire.AnswerMeta` beside it."""
        outcome = {"outcome": "selected", "optionId": option} if option else {"outcome": "cancelled"}
        result = {"outcome": outcome, **({"_meta": {wire.OURS: more}} if more else {})}
        await self._write({"jsonrpc": "2.0", "id": ask.id, "result": result})

    def behind(self, message: Any) -> None:
        """Put something of one's own behind what was heard so far."""
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._send.send_nowait(message)

    async def request(self, method: str, params: Mapping[str, Any]) -> Any:
        """Ask anything.

        Raises:
            Disconnected: it is gone.
            JourneymanError: what it answered with.
        """
        self._count += 1
        number, waiting = self._count, _Waiting()
        self._waiting[number] = waiting
        try:
            await self._write({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
            await waiting.done.wait()
        finally:
            self._waiting.pop(number, None)

        if waiting.error is not None:
            raise waiting.error

        return waiting.result

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        await self._write({"jsonrpc": "2.0", "method": method, "params": params})

    async def _write(self, message: Mapping[str, Any]) -> None:
        if self._gone is not None:
            raise self._gone

        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        try:
            async with self._sending:
                await self._link.send(line)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise _lost() from error

    async def read(self) -> None:
        """Take in what the engine says, to its end; `connect` runs it."""
        pieces: list[bytes] = []
        try:
            while True:
                piece = await self._link.receive()
                if b"\n" not in piece:
                    pieces.append(piece)
                    continue

                *lines, rest = b"".join([*pieces, piece]).split(b"\n")
                pieces = [rest]
                for line in filter(None, lines):
                    self._take(json.loads(line))
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            self._gone = _lost()
            for waiting in self._waiting.values():
                waiting.error = self._gone
                waiting.done.set()

            self._send.close()

    def _take(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params") or {}
        if method is None:
            if waiting := self._waiting.get(message.get("id", 0)):
                waiting.result = message.get("result")
                waiting.error = _fault(message["error"]) if message.get("error") else None
                waiting.done.set()

            return

        with suppress(anyio.BrokenResourceError):  # nobody listens
            if method == "session/update":
                self._send.send_nowait(Update(params["sessionId"], params["update"]))
            elif method == "session/request_permission":
                ours = cast("wire.PermissionMeta", (params.get("_meta") or {}).get(wire.OURS) or {})
                self._send.send_nowait(
                    Ask(message["id"], params["sessionId"], params["toolCall"], params["options"], ours)
                )
            elif "id" not in message:
                self._send.send_nowait(Note(method, params))


@asynccontextmanager
async def connect(path: Path | None = None, *, start: bool = True) -> AsyncGenerator[Client]:
    """A client of the engine that listens there; one is started where there is none.

    Args:
        path: the socket; that of this user by default.
        start: False to fail instead of starting one.

    Raises:
        Disconnected: there is none, or it does not start or answer.
    """
    path = path or socket_path()
    deadline = anyio.current_time() + STARTING_S
    async with AsyncExitStack() as stack:
        while True:
            link = await reached(path, STARTING_S, start=start)
            try:
                client = await stack.enter_async_context(_met(link))
                break
            except Disconnected:  # it was about to end; the next one is another
                if not start or anyio.current_time() > deadline:
                    raise

        yield client


@asynccontextmanager
async def _met(link: Wire) -> AsyncGenerator[Client]:
    client = Client(link)
    async with AsyncExitStack() as stack:
        stack.callback(link.close)
        group = anyio.create_task_group()
        await group.__aenter__()
        stack.push_async_callback(group.__aexit__, None, None, None)  # so that errors of the body leave as they are
        group.start_soon(client.read)
        try:
            with anyio.move_on_after(STARTING_S):
                client.agent = await client.request(
                    "initialize",
                    {
                        "protocolVersion": wire.PROTOCOL,
                        "clientInfo": {"name": "journeyman", "version": version("journeyman")},
                        "clientCapabilities": {"_meta": {wire.OURS: {"notes": True}}},
                    },
                )

            if not client.agent:
                message = f"The engine does not answer in {STARTING_S:g} seconds."
                raise Disconnected(message, fix=f"End its process; {log_path()} may say what it does.")

            yield client
        finally:
            client.messages.close()
            group.cancel_scope.cancel()


def _fault(error: Mapping[str, Any]) -> JourneymanError:
    """What a JSON-RPC error says; the engine's own are a `wire.Fault` in its data."""
    data = error.get("data")
    fault = data if isinstance(data, dict) else {}
    made = known(
        str(fault.get("kind")), str(fault.get("message") or error.get("message")), fix=str(fault.get("fix", ""))
    )
    made.run_id = fault.get("run_id")
    return made


def _lost() -> Disconnected:
    return Disconnected("The engine is gone.", fix="Start again; sessions are stored: journeyman chat --resume last")


def _opening(cwd: Path, settings: "wire.Settings | None", servers: list[Any] | None) -> dict[str, Any]:
    if not cwd.is_absolute():
        raise UsageError(f"{cwd} is no absolute path.", fix="Resolve it first.")

    meta = {"_meta": {wire.OURS: settings}} if settings else {}
    return {"cwd": str(cwd), "mcpServers": servers or [], **meta}
