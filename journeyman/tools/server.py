"""One MCP server at work: started when it is needed, watched, started again when it dies.

A client of the SDK lives and dies in one task, so each connection has an owner task that does nothing else; calls are
made from the callers' own tasks. A server that died is started again at the next call, a little later each time, and
given up after three deaths without a result in between. A call that was under way is not made again: its error says
that it may have happened. What changes nothing (a list, a resource, a look at a task) is asked for once more.

What a pinned server offers is known before it is started: it is first started for the first call, and then its tools
have to be what they were.
"""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio.abc import TaskGroup, TaskStatus
from pydantic import JsonValue

from journeyman.errors import JourneymanError, ServerError, UsageError
from journeyman.tools.client import Patience, client, traced
from journeyman.tools.confined import demand
from journeyman.tools.door import Door, book, current, opened
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
WATCHED = 20
"""Resources of one server."""


@dataclass(slots=True)
class _Connection:
    client: "Client"
    stderr: Tail
    ended: anyio.Event
    """Nothing more will be heard from it."""
    over: anyio.Event = field(default_factory=anyio.Event)
    """It is not needed any more."""
    group: TaskGroup | None = None
    """Where it is listened to."""
    watched: set[str] = field(default_factory=set)
    """The resources whose changes it was asked to tell of."""


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
        self._stale = self._listed = self._unknown = False
        """The list may have changed; there was one; it wants to know who we are."""
        self._group = group
        self.patience = patience
        self._auth = auth
        self._lock = anyio.Lock()
        self._connection: _Connection | None = None
        self._deaths = 0
        self._since = 0.0
        """When it was last started."""
        self._stderr: list[str] = []
        self._news: dict[str, None] = {}
        """Resources that have changed since they were read."""
        self._doors: list[Door | None] = []
        """Those of the calls under way; None for one outside of a run."""

    @property
    def said(self) -> str:
        """The end of what it wrote on stderr, on one line."""
        return " | ".join(self.stderr[-ONE_LINE:])

    @property
    def stderr(self) -> list[str]:
        """The last lines that it wrote there."""
        return self._connection.stderr.lines if self._connection else self._stderr

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
        from journeyman.tools.tasks import handle  # noqa: PLC0415

        with self._under_way():
            kept = book()
            if kept is None or not (task := kept.task):
                result = await self._ask(
                    tool, lambda there: there.call_tool(tool, arguments, progress_callback=_progress(report))
                )
                if not (task := handle(result)):
                    return result

                if kept is not None:
                    await kept.keep(task)

            return await self._follow(tool, task, report)

    async def ask(self, what: str, send: Send[T]) -> T:
        """Ask for something that changes nothing; where the server dies of it, once more.

        Raises:
            ToolError, ServerError: as for a call.
        """
        with self._under_way():
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
        """A list that changed is read before the next call. So it is in the older era; in the present one `_listen`."""
        method = getattr(message, "method", "")
        if method.endswith("/list_changed"):
            self._stale = True
        elif method == "notifications/resources/updated":
            self._changed(str(message.params.uri))

    async def watch(self, uri: str) -> None:
        """Have it told, from now on, that this resource changed, where the server can. It is about to be read."""
        self._news.pop(uri, None)
        connection = self._connection
        if connection is None or uri in connection.watched or len(connection.watched) >= WATCHED:
            return

        resources = connection.client.server_capabilities.resources
        if resources is None or not resources.subscribe or connection.group is None:
            return

        connection.watched.add(uri)
        with anyio.move_on_after(self.patience.again):
            if connection.client.session.discover_result is None:
                await _subscribe(connection.client, uri)
                return

            listening = anyio.Event()
            connection.group.start_soon(self._listen, connection, uri, listening)
            await listening.wait()

    def with_news(self, output: Output) -> Output:
        """What a call returned, and which resources have changed since they were read."""
        news, self._news = self._news, {}
        told = f"{output.text}\n[changed since it was read: {', '.join(news)}]"
        return replace(output, text=told) if news else output

    def _changed(self, uri: str) -> None:
        """Only what was asked for is told: nothing else that a server calls so can be trusted to be an address."""
        if self._connection is not None and uri in self._connection.watched:
            self._news[uri] = None

    def refused(self) -> None:
        self._unknown = True

    async def elicit(self, context: Any, params: Any) -> Any:  # noqa: ARG002 - the SDK's names
        """Put to whom the call is made for in whose task the SDK asks; else to whom the only one is made for."""
        there = set(self._doors)
        return await elicited(self.name, params, _door() or (there.pop() if len(there) == 1 else None))

    @contextmanager
    def _under_way(self) -> Generator[None]:
        self._doors.append(door := _door())
        try:
            yield
        finally:
            self._doors.remove(door)

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

    async def _follow(self, tool: str, task: str, report: Report) -> "CallToolResult":
        """See a task to its end, over deaths of the server too."""
        from journeyman.tools.tasks import look, stop  # noqa: PLC0415

        answered: set[str] = set()
        said = ""
        try:
            while True:
                result, message, wait = await self.ask(tool, lambda there: look(there, task, answered))
                if message != said:
                    report(said := message, None)

                if result is not None:
                    return result

                await anyio.sleep(wait)
        except anyio.get_cancelled_exc_class():
            if self._connection is not None:
                await stop(self._connection.client, task)

            raise

    async def _connected(self) -> _Connection:
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

                self._stale = self._listed  # else the SDK would list after the call, and lose its result if that fails

            if self._stale:
                self._stale = False
                await self._list(self._connection)

            return self._connection

    async def _start(self) -> _Connection:
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

        modern = connection.client.session.discover_result is not None
        self.remember(era="modern" if modern else "legacy", silent=False)
        return connection

    async def _own(self, mode: str, *, task_status: TaskStatus[_Connection]) -> None:
        """Be the task that a connection lives in."""
        started, ended = False, anyio.Event()
        with Tail() as stderr, opened(None):  # it outlives the call that it was started for
            try:
                async with client(self, mode, stderr, ended=ended.set, auth=self._auth) as live:
                    connection = _Connection(live, stderr, ended)
                    started = True
                    task_status.started(connection)
                    async with anyio.create_task_group() as listening:
                        connection.group = listening
                        listening.start_soon(self._listen, connection)
                        await connection.over.wait()
                        listening.cancel_scope.cancel()
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

    async def _listen(self, connection: _Connection, uri: str = "", begun: anyio.Event | None = None) -> None:
        """Hear of changed lists, or of one resource, in the present era; in the older one the server just says so."""
        can, live = connection.client.server_capabilities, connection.client
        lists = {
            f"{kind}_list_changed": True
            for kind in ("tools", "prompts", "resources")
            if not uri and (able := getattr(can, kind)) is not None and able.list_changed
        }
        if live.session.discover_result is None or not (lists or uri):
            return

        try:
            async with live.listen(**lists, resource_subscriptions=[uri] if uri else []) as changes:
                if begun is not None:
                    begun.set()

                async for change in changes:
                    if uri:
                        self._changed(getattr(change, "uri", uri))
                    else:
                        self._stale = True
        except Exception:  # noqa: BLE001 - a server that cannot is one that need not
            if begun is not None:
                begun.set()

    async def _list(self, connection: _Connection) -> "list[Tool]":
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

    def _bury(self, connection: _Connection) -> str:
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


async def _subscribe(there: "Client", uri: str) -> None:
    """In the older era; the SDK's own method warns of that."""
    from mcp import MCPError  # noqa: PLC0415
    from mcp_types import EmptyResult, SubscribeRequest, SubscribeRequestParams  # noqa: PLC0415

    with suppress(MCPError):  # a server that cannot is one that need not
        await there.session.send_request(SubscribeRequest(params=SubscribeRequestParams(uri=uri)), EmptyResult)


def _door() -> Door | None:
    try:
        return current()
    except UsageError:  # nobody can be asked outside of a run
        return None


def _progress(report: Report) -> Any:
    async def progress(done: float, total: float | None, message: str | None) -> None:
        report(message or "", done / total if total else None)

    return progress
