"""One MCP server at work: started when it is needed, watched, started again when it dies.

A client of the SDK lives and dies in one task, so each connection has an owner task that does nothing else; calls are
made from the callers' own tasks. A server that died is started again at the next call, a little later each time, and
given up after three deaths without a result in between. A call that was under way is not made again: its error says
that it may have happened.
"""

import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup, TaskStatus
from pydantic import JsonValue

from journeyman.errors import JourneymanError, ServerError, ToolError
from journeyman.safe import safe
from journeyman.tools.client import client, traced
from journeyman.tools.pins import Pins, differences
from journeyman.tools.tail import Tail
from journeyman.tools.target import Builtin, Command, Target
from journeyman.tools.thread import in_thread
from journeyman.tools.tool import Report

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult, Tool

GIVE_UP = 3
"""Deaths in a row after which a server is left alone."""
BACKOFF_S = 0.1
PAGES = 100
ADDRESS = re.compile(r"(https?://)(?:[^\s/?#@]*@)?([^\s/?#'\"]*)[^\s'\"]*")
"""What stands around its host may hold a secret."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds."""

    answer: float = 600.0
    """For the result of a call; whoever makes it may have less patience."""
    probe: float = 5.0
    """For a server to answer in the present protocol before it is started again and spoken to in the older one."""
    start: float = 20.0
    """For that."""


@dataclass(slots=True)
class _Connection:
    client: "Client"
    stderr: Tail
    ended: anyio.Event
    """Nothing more will be heard from it."""
    over: anyio.Event = field(default_factory=anyio.Event)
    """It is not needed any more."""


class Server:
    """A source of tools.

    Args:
        target: whom to reach.
        group: where its owner tasks live; `close` ends them.
        patience: how long to wait for what.
        pins: what its tools must look like; without them anything goes.
    """

    def __init__(self, target: Target, group: TaskGroup, patience: Patience, pins: Pins | None = None) -> None:
        self.target = target
        self.definitions: dict[str, str] = {}
        """Of the tools as they were last listed, whole and canonical."""
        self._pins = pins
        self._pinned: dict[str, str] | None = None
        self._strange = False
        """A tool was listed that is not as it was pinned."""
        self.notices: list[str] = []
        """What was left out, a sentence each."""
        self._group = group
        self._patience = patience
        self._lock = anyio.Lock()
        self._connection: _Connection | None = None
        self._mode = "auto"
        self._listed = False
        self._deaths = 0
        self._said = ""

    @property
    def name(self) -> str:
        return self.target.name

    async def tools(self) -> "list[Tool]":
        """What it offers.

        Raises:
            ServerError: it cannot be started, or does not answer as it should.
        """
        tools = await self._list(await self._connected())
        self._listed = True
        return tools

    async def _list(self, connection: _Connection) -> "list[Tool]":
        tools: list[Tool] = []
        cursor = None
        self.definitions = {}
        self._pinned = self._pins.of(self.target) if self._pins else None
        try:
            with anyio.fail_after(self._patience.start):
                for _ in range(PAGES):
                    page = await connection.client.list_tools(cursor=cursor)
                    tools += page.tools
                    if (cursor := page.next_cursor) is None:
                        break
        except Exception as error:  # whatever a stranger's server makes the SDK raise
            raise self._error(f"does not list its tools: {_words(error)}", self._bury(connection)) from error

        self._compare()
        return tools

    def _saw(self, name: str, definition: str) -> None:
        """Whenever a list comes in, asked for by us or by the SDK."""
        self.definitions[name] = definition
        self._strange = self._strange or (self._pinned is not None and self._pinned.get(name) != definition)

    def _compare(self) -> None:
        """Pin what is seen for the first time, and stop what is not what it was."""
        if self._pins is None or isinstance(self.target, Builtin):
            return

        if self._pinned is None:
            self._pins.pin(self.target, self.definitions)
            self._pinned = dict(self.definitions)

        self._strange = self._pinned != self.definitions
        self._refuse_strange()

    def _refuse_strange(self) -> None:
        if self._strange:
            changed = "; ".join(islice(differences(self._pinned or {}, self.definitions), 3))
            raise ServerError(
                f"MCP server {self.name!r} is in quarantine, its tools are not what they were: {changed}",
                fix=f"look: journeyman mcp diff {self.name}; then accept: journeyman mcp pin {self.name}",
            )

    async def call(self, tool: str, arguments: dict[str, JsonValue], report: Report) -> "CallToolResult":
        """Call a tool there.

        Raises:
            ToolError: the server says no to the call.
            ServerError: it is gone or silent; `maybe_done` tells whether the effect may have happened.
        """
        connection = await self._connected()
        self._refuse_strange()
        try:
            with traced():
                result = await connection.client.call_tool(tool, arguments, progress_callback=_progress(report))
        except Exception as error:  # the boundary to the SDK and to a stranger's server
            if (refusal := self._refusal(error)) is not None:
                raise refusal from error

            died = f"died during {tool}; the call may or may not have happened"
            raise self._error(died, self._bury(connection), maybe_done=True) from error

        self._deaths = 0
        return result

    def close(self) -> None:
        """Let it go; its owner task ends soon after."""
        if self._connection is not None:
            self._connection.over.set()
            self._connection = None

    async def _connected(self) -> _Connection:
        async with self._lock:
            if self._connection is not None and self._connection.ended.is_set():  # it died with nothing to do
                self._bury(self._connection)

            if self._connection is None:
                if self._deaths >= GIVE_UP:
                    raise self._error(f"died {self._deaths} times in a row and is not started again", "")

                if self._deaths:
                    await anyio.sleep(BACKOFF_S * 4 ** (self._deaths - 1))

                try:
                    self._connection = await self._start()
                except ServerError:
                    self._deaths += 1
                    raise

                if self._listed:  # else the SDK would list after the call, and lose its result when that fails
                    await self._list(self._connection)

            return self._connection

    async def _start(self) -> _Connection:
        """In the present era if the server takes it, else in the one it was found to speak."""
        await in_thread(_import_sdk)
        if self._mode == "auto":
            fallback = not isinstance(self.target, Builtin)
            try:
                with anyio.fail_after(self._patience.probe if fallback else self._patience.start):
                    return await self._group.start(self._own)
            except (TimeoutError, ServerError) as error:
                if not fallback or isinstance(error.__cause__, OSError):
                    raise

            self._mode = "legacy"

        try:
            with anyio.fail_after(self._patience.start):
                return await self._group.start(self._own)
        except TimeoutError as error:
            self._mode = "auto"
            raise self._error(f"did not answer within {self._patience.start:g} seconds", self._said) from error
        except ServerError:
            self._mode = "auto"
            raise

    async def _own(self, *, task_status: TaskStatus[_Connection]) -> None:
        """Be the task that a connection lives in."""
        started, ended, answer = False, anyio.Event(), self._patience.answer
        told = {"notice": self.notices.append, "ended": ended.set, "saw": self._saw}
        with Tail() as stderr:
            try:
                async with client(self.target, self._mode, stderr, answer, **told) as live:
                    connection = _Connection(live, stderr, ended)
                    started = True
                    task_status.started(connection)
                    await connection.over.wait()
            except JourneymanError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a transport fails by
                if not started:
                    raise self._unstarted(_first(error), str(stderr)) from _first(error)
            finally:
                self._said = str(stderr)

    def _bury(self, connection: _Connection) -> str:
        """End the connection; what the server last said on stderr."""
        stderr = str(connection.stderr)
        connection.over.set()
        if self._connection is connection:
            self._connection = None
            self._deaths += 1

        return stderr

    def _refusal(self, error: Exception) -> JourneymanError | None:
        """The error for the caller where the server still lives; None where it is gone."""
        from mcp import MCPError  # noqa: PLC0415
        from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT  # noqa: PLC0415

        error = _first(error)
        if isinstance(error, JourneymanError):
            return error

        if isinstance(error, MCPError):
            if error.code == REQUEST_TIMEOUT:
                patience = (
                    f"gave no result within {self._patience.answer:g} seconds; the call may or may not have happened"
                )
                return self._error(patience, "", maybe_done=True)

            return None if error.code == CONNECTION_CLOSED else ToolError(safe(error.message))

        if isinstance(error, ValueError | RuntimeError):
            return ToolError(f"the server's result does not fit what it declared: {safe(str(error), 300)}")

        return None

    def _unstarted(self, error: Exception, stderr: str) -> ServerError:
        match error:
            case FileNotFoundError() if isinstance(self.target, Command):
                program = str(self.target)
                return ServerError(
                    f"MCP server {self.name!r} cannot be started: there is no program {program!r}",
                    fix=f"install {program} or correct the command",
                )
            case OSError():
                return self._error(f"cannot be reached: {error.strerror or error}", stderr)
            case _:
                return self._error(f"does not answer: {_words(error)}", stderr)

    def _error(self, what: str, stderr: str, *, maybe_done: bool = False) -> ServerError:
        said = f". It last said: {stderr}" if stderr else ""
        look = f"run it by hand and look: {self.target}" if isinstance(self.target, Command) else f"check {self.target}"
        return ServerError(f"MCP server {self.name!r} {what}{said}", fix=safe(look), maybe_done=maybe_done)


async def definitions(target: Target) -> dict[str, str]:
    """What a server's tools look like now: it is started, asked and left.

    Raises:
        ServerError: it cannot be asked.
    """
    failed: ServerError | None = None
    async with anyio.create_task_group() as group:
        server = Server(target, group, Patience())
        try:
            await server.tools()
        except ServerError as error:  # a group would wrap it
            failed = error

        server.close()

    if failed is not None:
        raise failed

    return server.definitions


def _import_sdk() -> None:
    import mcp  # noqa: F401, PLC0415 - half a second


def _progress(report: Report) -> Any:
    async def progress(done: float, total: float | None, message: str | None) -> None:
        report(message or "", done / total if total else None)

    return progress


def _first(error: Exception) -> Exception:
    """The first plain error in nested groups."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]

    return error


def _words(error: Exception) -> str:
    error = _first(error)
    return safe(ADDRESS.sub(r"\1\2", str(error)), 300) or type(error).__name__
