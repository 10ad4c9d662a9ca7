"""One MCP server at work: started when it is needed, watched, started again when it dies.

A client of the SDK lives and dies in one task, so each connection has an owner task that does nothing else; calls are
made from the callers' own tasks. A server that died is started again at the next call, a little later each time, and
given up after three deaths without a result in between. A call that was under way is not made again: its error says
that it may have happened. What changes nothing (a list, a resource, a look at a task) is asked for once more.

What a pinned server offers is known before it is started: it is first started for the first call, and then its tools
have to be what they were.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio.abc import TaskGroup, TaskStatus
from pydantic import JsonValue

from journeyman.errors import JourneymanError, ServerError
from journeyman.tools.client import Patience, client, traced
from journeyman.tools.confined import demand
from journeyman.tools.connection import Connection, News
from journeyman.tools.door import Doors, book, opened
from journeyman.tools.failure import failed, first, refusal, stranger, unstarted, words
from journeyman.tools.known import Known
from journeyman.tools.pins import Pins
from journeyman.tools.questions import elicited
from journeyman.tools.tail import ONE_LINE, Tail
from journeyman.tools.target import Builtin, Command, Target, Url
from journeyman.tools.thread import in_thread
from journeyman.tools.tool import Output, Report

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult, Tool

T = TypeVar("T")
Send = Callable[["Client"], Awaitable[T]]

GIVE_UP = 3
"""Deaths in a row after which a server is left alone."""
BACKOFF_S = 0.1
LEAST_S = 1.0
"""For a list, however long the start took."""
PAGES = 100


class Server(Known):
    """A source of tools.

    Args:
        target: whom to reach.
        group: where its owner tasks live; `close` ends them.
        patience: how long to wait for what.
        pins: what its tools must look like; without them anything goes.
        auth: for a URL: what authorises requests.
    """

    def __init__(
        self, target: Target, group: TaskGroup, patience: Patience, pins: Pins | None = None, auth: Any = None
    ) -> None:
        super().__init__(target, pins)
        self._listed = self._unknown = False
        """There was a list of its tools; it wants to know who we are."""
        self._group = group
        self.patience = patience
        self._auth = auth
        self._lock = anyio.Lock()
        self._connection: Connection | None = None
        self._deaths = 0
        self._since = 0.0
        """When it was last started."""
        self._stderr: list[str] = []
        self._news = News()
        self._doors = Doors()

    @property
    def said(self) -> str:
        """The end of what it wrote on stderr, on one line."""
        return " | ".join(self.stderr[-ONE_LINE:])

    @property
    def stderr(self) -> list[str]:
        """The last lines that it wrote there."""
        return self._connection.stderr.lines if self._connection else self._stderr

    @property
    def _live(self) -> "Client | None":
        return self._connection.client if self._connection else None

    @property
    def era(self) -> str:
        """The version of the protocol that is spoken, once it is."""
        return str(self._connection.client.protocol_version) if self._connection else ""

    async def tools(self) -> "list[Tool]":
        """What it offers. A server that is pinned, and had not changed when it was last seen, is not started for that.

        Raises:
            ServerError: it cannot be started, or does not answer as it should.
        """
        if self.is_known:
            await in_thread(_import_sdk)
            self._listed = True
            return self.recalled()

        tools = await self._list(await self._connected())
        self._listed = True
        return tools

    async def call(self, tool: str, arguments: dict[str, JsonValue], report: Report) -> "CallToolResult":
        """Call a tool there; or, where an earlier process was given the handle of a task for it, see to that.

        Raises:
            ToolError: the server says no to the call.
            ServerError: it is gone or silent; `maybe_done` tells whether the effect may have happened.
        """
        from journeyman.tools.tasks import follow, handle  # noqa: PLC0415

        with self._doors.under_way():
            kept = book()
            if kept is None or not (task := kept.task):
                result = await self._ask(
                    tool, lambda there: there.call_tool(tool, arguments, progress_callback=_progress(report))
                )
                if not (task := handle(result)):
                    return result

                if kept is not None:
                    await kept.keep(task)

            return await follow(task, report, lambda send: self.ask(tool, send), lambda: self._live)

    async def ask(self, what: str, send: Send[T]) -> T:
        """Ask for something that changes nothing; where the server dies of it, once more.

        Raises:
            ToolError, ServerError: as for a call.
        """
        with self._doors.under_way():
            try:
                return await self._ask(what, send)
            except ServerError as error:
                if not error.maybe_done or self._connection is not None:
                    raise

                return await self._ask(what, send)

    async def restart(self) -> None:
        """End it and start it, also where it was given up.

        Raises:
            ServerError: it does not start, or is in quarantine.
        """
        self.close()
        self._deaths = 0
        await self._connected()

    def close(self) -> None:
        """Let it go; its owner task ends soon after."""
        if self._connection is not None:
            self._connection.over.set()
            self._connection = None

    async def heard(self, message: Any) -> None:
        """A list that changed is read before the next call."""
        if self._connection is not None:
            await self._connection.heard(message)

    async def watch(self, uri: str) -> None:
        """Have it told, from now on, that this resource changed, where the server can. It is about to be read."""
        self._news.resources.pop(uri, None)
        if self._connection is not None:
            await self._connection.watch(uri, self.patience.again)

    def with_news(self, output: Output) -> Output:
        """What a call returned, and which resources have changed since they were read."""
        news, self._news.resources = self._news.resources, {}
        told = f"{output.text}\n[changed since it was read: {', '.join(news)}]"
        return replace(output, text=told) if news else output

    def refused(self) -> None:
        self._unknown = True

    async def elicit(self, context: Any, params: Any) -> Any:  # noqa: ARG002 - the SDK's names
        """Put to whom the call is made for in whose task the SDK asks; else to whom the only one is made for."""
        return await elicited(self.name, params, self._doors.asked)

    async def _ask(self, what: str, send: Send[T]) -> T:
        connection = await self._connected()
        self.refuse_strange()
        try:
            with traced():
                answer = await send(connection.client)
        except Exception as error:  # the boundary to the SDK and to a stranger's server
            if (refused := refusal(self.target, error, self.patience.answer)) is not None:
                raise refused from error

            died = f"died during {what}; the call may or may not have happened"
            raise failed(self.target, died, self._bury(connection), maybe_done=True) from error

        self._deaths = 0
        return answer

    async def _connected(self) -> Connection:
        async with self._lock:
            if self._connection is not None and self._connection.ended.is_set():  # it died with nothing to do
                self._bury(self._connection)

            if self._connection is None:
                if self._deaths >= GIVE_UP:
                    raise failed(self.target, f"died {self._deaths} times in a row and is not started again")

                if self._deaths:
                    await anyio.sleep(BACKOFF_S * 4 ** (self._deaths - 1))

                try:
                    self._connection = await self._start()
                except ServerError:
                    self._deaths += 1
                    raise

                # else the SDK would list after the call, and lose its result if that fails
                self._news.stale = self._listed

            if self._news.stale:
                self._news.stale = False
                await self._list(self._connection)

            return self._connection

    async def _start(self) -> Connection:
        """In the era that the server was found to speak, else in the present one; if it dies of that, in the other."""
        await in_thread(_import_sdk)
        remembered = self.remembered
        mode = "legacy" if remembered.get("era") == "legacy" else "auto"
        if remembered.get("login") and isinstance(self.target, Url):
            from journeyman.tools.login import granted  # noqa: PLC0415 - the SDK

            self._auth = await granted(self.target)

        if isinstance(self.target, Command):
            await demand(self.target)

        self._since = anyio.current_time()
        patience = self.patience.again if remembered.get("silent") else self.patience.start
        try:
            with anyio.fail_after(patience):
                try:
                    connection = await self._group.start(self._own, mode)
                except ServerError as error:
                    if isinstance(self.target, Builtin) or isinstance(error.__cause__, OSError):
                        raise

                    connection = await self._group.start(self._own, "auto" if mode == "legacy" else "legacy")
        except TimeoutError as error:
            self.remember(silent=True)
            raise failed(self.target, f"did not answer within {patience:g} seconds", self.said) from error

        self.remember(era="modern" if connection.is_modern else "legacy", silent=False)
        return connection

    async def _own(self, mode: str, *, task_status: TaskStatus[Connection]) -> None:
        """Be the task that a connection lives in."""
        started, ended = False, anyio.Event()
        with Tail() as stderr, opened(None):  # it outlives the call that it was started for
            try:
                async with client(self, mode, stderr, ended=ended.set, auth=self._auth) as live:
                    connection = Connection(live, stderr, ended, self._news)
                    started = True
                    task_status.started(connection)
                    await connection.listen()
            except JourneymanError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a transport fails by
                if not started:
                    raise self._unstarted(first(error), str(stderr)) from first(error)
            finally:
                self._stderr = stderr.lines

    def _unstarted(self, error: Exception, stderr: str) -> ServerError:
        if isinstance(error, ServerError):
            return error

        return stranger(self.target) if self._unknown else unstarted(self.target, error, stderr)

    async def _list(self, connection: Connection) -> "list[Tool]":
        tools: list[Tool] = []
        cursor = None
        self.forget()
        spent = 0.0 if self._listed else anyio.current_time() - self._since
        try:
            with anyio.fail_after(max(LEAST_S, self.patience.start - spent)):
                for _ in range(PAGES):
                    page = await connection.client.list_tools(cursor=cursor)
                    tools += page.tools
                    if (cursor := page.next_cursor) is None:
                        break
        except Exception as error:  # whatever a stranger's server makes the SDK raise
            told = f"does not list its tools: {words(error)}"
            raise failed(self.target, told, self._bury(connection)) from error

        self.compare()
        if not isinstance(self.target, Builtin):
            await self._look(connection.client)

        return tools

    async def _look(self, there: "Client") -> None:
        """What there is besides tools; a server that fails at it has none."""
        from journeyman.tools.offers import offers  # noqa: PLC0415 - it is made of servers

        try:
            with anyio.fail_after(self.patience.again):
                found = await offers(there)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's server makes the SDK raise
            self.notice(f"what it has besides tools is left out: {words(error)}")
            return

        self.saw_besides(found)

    def _bury(self, connection: Connection) -> str:
        """End the connection; what the server last said on stderr."""
        stderr = str(connection.stderr)
        connection.over.set()
        if self._connection is connection:
            self._connection = None
            self._deaths += 1

        return stderr


def _import_sdk() -> None:
    import mcp  # noqa: F401, PLC0415 - half a second

    import journeyman.tools.tasks  # noqa: F401, PLC0415 - models of its own


def _progress(report: Report) -> Any:
    async def progress(done: float, total: float | None, message: str | None) -> None:
        report(message or "", done / total if total else None)

    return progress
