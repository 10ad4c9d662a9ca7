"""A toolset on the standard streams: as much of MCP as a server of tools needs there, in both of its eras.

The SDK speaks all of it, and its import alone takes 0.5 CPU seconds. What is said here is compared with what the SDK
says, message by message, in the tests. The first request decides the era: the handshake of the years up to 2025-11-25,
or requests that each carry the protocol's version (2026-07-28).
"""

import base64
import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from importlib import metadata
from typing import Any, TypeGuard

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream

from journeyman.errors import SandboxError, ToolError
from journeyman.mcp_servers.toolset import Files, Json, Report, Toolset
from journeyman.mcp_servers.wire import Lines, Out

BATCHED = "2025-03-26"
"""Where several messages may come in one, and are answered in one."""
HANDSHAKE = ("2024-11-05", BATCHED, "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"
VERSION, CAPABILITIES, SERVER = (
    f"io.modelcontextprotocol/{each}" for each in ("protocolVersion", "clientCapabilities", "serverInfo")
)
UNSUPPORTED, REFUSED, UNKNOWN, WRONG, BROKEN, BUSY = -32022, -32600, -32601, -32602, -32603, -32000
ERAS = {"initialize": False, "ping": False, "server/discover": True}
"""Of what is asked in one of them only: is it the modern one?"""
UNGREETED = frozenset({"initialize", "ping"})
FRESH = {"ttlMs": 0, "cacheScope": "private"}
"""How long a client may keep what it was told; of what is called nothing is kept."""
GOODBYE_S = 1.0
"""How long calls under way may still take when nothing more will be asked."""
OPEN = 200
"""Requests that may be open at once."""
ROOM_S = 1.0
"""How long one more waits, and whatever comes after it, for one of them to end; then it is refused."""


class Wrong(Exception):
    """A request that is answered with an error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.told = {"code": code, "message": message} | ({} if data is None else {"data": data})


class Talk:
    """With one client, from its first word to its last."""

    def __init__(self, tools: Toolset) -> None:
        self._tools = tools
        self._about = {"name": tools.name, "version": metadata.version("journeyman")}
        self._is_modern: bool | None = None
        self._version = ""
        """That was agreed on in a handshake."""
        self._room = anyio.Semaphore(OPEN, fast_acquire=True)
        self._calls: dict[str, anyio.CancelScope] = {}
        self._answers: dict[str, Callable[[Json], Awaitable[Json]]] = {
            "initialize": self._greet,
            "ping": _nothing,
            "server/discover": self._discover,
            "tools/list": self._list,
            "tools/call": self._call,
        }
        if tools.files is not None:
            self._answers |= _Reading(tools.files).answers

    async def run(self, lines: Lines, out: Out) -> None:
        """Answer until there are no more lines, or nobody reads the answers."""
        self._send, queue = anyio.create_memory_object_stream[Json | list[Json]](16)
        async with queue, AsyncExitStack() as stack, anyio.create_task_group() as writing:
            if self._tools.lifespan is not None:
                await stack.enter_async_context(self._tools.lifespan(self._tools))

            writing.start_soon(_write, queue, out, writing)
            async with self._send, anyio.create_task_group() as working:
                async for line in lines:
                    await self._hear(_messages(line, several=self._version == BATCHED), working)

                working.cancel_scope.deadline = writing.cancel_scope.deadline = anyio.current_time() + GOODBYE_S

    async def _hear(self, heard: Json | list[Json], working: TaskGroup) -> None:
        messages = heard if isinstance(heard, list) else [heard]
        for each in messages:
            call = self._calls.get(str(_params(each).get("requestId")))
            if call is not None and each.get("method") == "notifications/cancelled":
                call.cancel()

        asked = [each for each in messages if "id" in each and isinstance(each.get("method"), str)]
        if not asked:
            return

        if self._is_modern is None:
            self._is_modern = asked[0]["method"] != "initialize" and VERSION in _meta(_params(asked[0]))

        if not await self._has_room():
            busy = {"code": BUSY, "message": f"{OPEN} requests are open, ask again when one is answered"}
            refused = [{"jsonrpc": "2.0", "id": each["id"], "error": busy} for each in asked]
            await self._send.send(refused if heard is messages else refused[0])
            return

        scopes = [anyio.CancelScope() for _ in asked]
        self._calls |= {str(each["id"]): scope for each, scope in zip(asked, scopes, strict=True)}
        if asked[0]["method"] == "initialize":  # what follows depends on it
            await self._reply(asked, scopes, several=heard is messages)
        else:
            working.start_soon(partial(self._reply, asked, scopes, several=heard is messages))

    async def _has_room(self) -> bool:
        """For one more; where nobody reads the answers there is none, and no more is read."""
        with anyio.move_on_after(ROOM_S) as scope:
            await self._room.acquire()

        return not scope.cancelled_caught

    async def _reply(self, asked: list[Json], scopes: list[anyio.CancelScope], *, several: bool) -> None:
        """To several that came in one: in their order, one after the other."""
        try:
            answers = [await self._answer(each, scope) for each, scope in zip(asked, scopes, strict=True)]
            if told := [each for each in answers if each is not None]:
                await self._send.send(told if several else told[0])
        finally:
            self._room.release()

    async def _answer(self, request: Json, scope: anyio.CancelScope) -> Json | None:
        """None: it was called off."""
        told: Json = {}
        with scope:
            try:
                told = {"result": await self._result(request["method"], _params(request))}
            except Wrong as wrong:
                told = {"error": wrong.told}
            except Exception:  # noqa: BLE001 - a fault of ours costs one call, not the session
                traceback.print_exc()
                told = {"error": {"code": BROKEN, "message": "Internal server error"}}

        if self._calls.get(str(request["id"])) is scope:
            del self._calls[str(request["id"])]

        return None if scope.cancel_called else {"jsonrpc": "2.0", "id": request["id"], **told}

    async def _result(self, method: str, params: Json) -> Json:
        if self._is_modern:
            _check(method, params)
        elif method != "initialize" and VERSION in _meta(params):
            told = "this connection serves the handshake protocol era; requests of 2026-07-28 are not accepted on it"
            raise Wrong(REFUSED, told)

        answer = self._answers.get(method)
        if answer is None or ERAS.get(method, self._is_modern) != self._is_modern:
            raise Wrong(UNKNOWN, "Method not found", method)

        if not (self._is_modern or self._version or method in UNGREETED):
            raise Wrong(WRONG, "Invalid request parameters", "")

        result = await answer(params)
        if not self._is_modern:
            return result

        kept = {} if method == "tools/call" else FRESH
        return {**result, **kept, "resultType": "complete", "_meta": {SERVER: self._about}}

    async def _greet(self, params: Json) -> Json:
        asked = _text(params, "protocolVersion")
        if not all(isinstance(params.get(each), dict) for each in ("capabilities", "clientInfo")):
            raise Wrong(WRONG, "Invalid request parameters", "")

        self._version = asked if asked in HANDSHAKE else HANDSHAKE[-1]
        return {"protocolVersion": self._version, "serverInfo": self._about, **self._offers()}

    async def _discover(self, _: Json) -> Json:
        return {"supportedVersions": [MODERN], **self._offers()}

    def _offers(self) -> Json:
        files = {"resources": {}} if self._tools.files else {}
        return {"capabilities": {"tools": {}, **files}, "instructions": self._tools.instructions}

    async def _list(self, _: Json) -> Json:
        return {"tools": [tool.definition for tool in self._tools.tools.values()]}

    async def _call(self, params: Json) -> Json:
        name, arguments = _text(params, "name"), params.get("arguments")
        if not isinstance(arguments, dict | None):
            raise Wrong(WRONG, "Invalid request parameters", "")

        return await self._tools.call(name, arguments or {}, self._reporting(_meta(params).get("progressToken")))

    def _reporting(self, token: object) -> Report | None:
        if not isinstance(token, str | int) or isinstance(token, bool):
            return None

        async def report(done: float, total: float | None, message: str) -> None:
            far = {"progress": done, "message": message} | ({} if total is None else {"total": total})
            told = {"method": "notifications/progress", "params": {"progressToken": token, **far}}
            await self._send.send({"jsonrpc": "2.0", **told})

        return report


class _Reading:
    """Of files that a tool made."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.answers = {
            "resources/list": self._list,
            "resources/templates/list": self._templates,
            "resources/read": self._read,
        }

    async def _list(self, _: Json) -> Json:
        return {"resources": []}

    async def _templates(self, _: Json) -> Json:
        told = {"name": self._files.name, "description": self._files.description, "mimeType": "text/plain"}
        return {"resourceTemplates": [{"uriTemplate": f"{self._files.prefix}{{+path}}", **told}]}

    async def _read(self, params: Json) -> Json:
        uri = _text(params, "uri")
        if not uri.startswith(self._files.prefix):
            raise Wrong(WRONG, f"there is no resource {uri!r}", {"uri": uri})

        try:
            data = await self._files.read(uri.removeprefix(self._files.prefix))
        except (ToolError, SandboxError) as error:
            raise Wrong(WRONG, str(error), {"uri": uri}) from None

        try:
            content = {"mimeType": "text/plain", "text": data.decode()}
        except UnicodeDecodeError:
            content = {"mimeType": "application/octet-stream", "blob": base64.b64encode(data).decode()}

        return {"contents": [{"uri": uri, **content}]}


async def _nothing(_: Json) -> Json:
    return {}


def _check(method: str, params: Json) -> None:
    """What a request of today must say of itself."""
    if method == "initialize":
        asked = params.get("protocolVersion")
        raise Wrong(UNSUPPORTED, f"this connection is one of {MODERN}", {"supported": [MODERN], "requested": asked})

    meta = _meta(params)
    asked = meta.get(VERSION)
    if missing := [key for key in (VERSION, CAPABILITIES) if key not in meta]:
        raise Wrong(WRONG, f"params._meta lacks {' and '.join(missing)}")

    if not isinstance(asked, str):
        raise Wrong(WRONG, f"{VERSION} is no text")

    if asked != MODERN:
        raise Wrong(UNSUPPORTED, "Unsupported protocol version", {"supported": [MODERN], "requested": asked})


def _messages(line: str, *, several: bool) -> Json | list[Json]:
    """What a line says, which may be several; of what is no message, nothing."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        said = None

    if _is_message(said):
        return said

    if several and isinstance(said, list) and (messages := [each for each in said if _is_message(each)]):
        return messages

    print(f"what came in is no message: {line[:80]!r}", file=sys.stderr)  # noqa: T201 - a server's log
    return {}


def _is_message(value: object) -> TypeGuard[Json]:
    return isinstance(value, dict) and isinstance(value.get("id"), str | int | None)


def _params(message: Json) -> Json:
    params = message.get("params")
    return params if isinstance(params, dict) else {}


def _meta(params: Json) -> Json:
    meta = params.get("_meta")
    return meta if isinstance(meta, dict) else {}


def _text(params: Json, name: str) -> str:
    if not isinstance(text := params.get(name), str):
        raise Wrong(WRONG, "Invalid request parameters", "")

    return text


async def _write(queue: MemoryObjectReceiveStream[Json | list[Json]], out: Out, writing: TaskGroup) -> None:
    """One message after the other, each whole."""
    try:
        async for message in queue:
            await out.write(json.dumps(message, ensure_ascii=False, separators=(",", ":")) + "\n")
    except BrokenPipeError:  # nobody reads any more
        writing.cancel_scope.cancel()
