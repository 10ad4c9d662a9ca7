"""Calls that outlive their request: the extension `io.modelcontextprotocol/tasks` (SEP-2663), for any of our servers.

A tool says itself that it will take long:

    async def practise(rounds: int) -> str:
        task = await background()          # from here on the client holds a handle, and asks how it goes
        task.report("warming up")
        answer = await task.ask(request)   # a question; the client brings the answer
        return "done"

A client that does not know tasks waits for the result of the same call, and is asked in the manner of its era. What is
not known here any more, because the process was started again, is looked for with `restore`.
"""

import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

import anyio
from anyio.abc import TaskGroup
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    RequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

TASKS = "io.modelcontextprotocol/tasks"
KEPT_MS = 3_600_000
"""How long a task can be asked for after its last change."""
POLL_MS = 500
MOST = 1000
"""Tasks that are known at once; the oldest that are over make room."""

MODERN = frozenset(MODERN_PROTOCOL_VERSIONS)

Status = Literal["working", "input_required", "completed", "failed", "cancelled"]
Work = Callable[["Task"], Awaitable[CallToolResult]]
Restore = Callable[[str], Awaitable[Work | CallToolResult | None]]
"""The rest of a task that an earlier process began, or its result if it is over; None where there is no such task."""

_current: ContextVar["Task | None"] = ContextVar("task", default=None)


async def background(task_id: str | None = None, *, required: bool = False) -> "Task":
    """The call under way becomes a task, where its client knows tasks.

    Args:
        task_id: its handle, where the tool has one already.
        required: refuse a client that does not know tasks.
    """
    task = _current.get()
    if task is None:
        raise RuntimeError("a server whose tools go on in the background has the extension Tasks")

    task.begin(task_id, required=required)
    return task


class Task:
    """One call at work."""

    def __init__(
        self,
        context: ServerRequestContext[Any, Any] | None = None,
        task_id: str = "",
        group: TaskGroup | None = None,
    ) -> None:
        self.id = task_id or secrets.token_urlsafe(16)
        self.begun = anyio.Event()
        """It is a task from here on, or over."""
        self.scope = anyio.CancelScope()
        self.status: Status = "working"
        self.message = ""
        self.outcome: HandlerResult = None
        self.error: MCPError | None = None
        self.long = context is None
        self.created = self.changed = time.time()
        self.questions: dict[str, tuple[ElicitRequest, anyio.Event]] = {}
        self._answers: dict[str, ElicitResult] = {}
        self._context = context
        self._group = group
        self._reports = 0

    @property
    def over(self) -> bool:
        return self.status in {"completed", "failed", "cancelled"}

    def begin(self, task_id: str | None, *, required: bool) -> None:
        if self._context is None or self.long:
            return

        capabilities = self._context.session.client_capabilities
        if TASKS in ((capabilities and capabilities.extensions) or {}) and _modern(self._context):
            self.id, self.long = task_id or self.id, True
            self.begun.set()
        elif required:
            require_client_extension(self._context, TASKS)

    def report(self, message: str) -> None:
        """Say how far it is: whoever asks next is told, and a client that waits for the call at once."""
        self.message, self.changed, self._reports = message, time.time(), self._reports + 1
        if self._group is not None and not self.long:
            self._group.start_soon(self._tell, self._reports, None, message)

    async def progress(self, done: float, total: float | None, message: str) -> None:
        """The same in numbers, once a client that waits is told."""
        self.message, self.changed = message, time.time()
        await self._tell(done, total, message)

    async def _tell(self, done: float, total: float | None, message: str) -> None:
        if not self.long and self._context is not None:
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):  # it has left
                await self._context.session.report_progress(done, total, message)

    async def ask(self, question: ElicitRequestFormParams) -> ElicitResult:
        """What the person at the client says. One that cannot be asked now declines."""
        if self.long:
            key, answered = secrets.token_urlsafe(6), anyio.Event()
            self.questions[key] = (ElicitRequest(params=question), answered)
            self._change("input_required")
            await answered.wait()
            return self._answers.pop(key)

        context = self._context
        if context is None or _modern(context):
            return ElicitResult(action="decline")

        return await context.session.elicit_form(question.message, question.requested_schema, context.request_id)

    def answer(self, answers: Mapping[str, ElicitResult]) -> None:
        for key, answer in answers.items():
            self._answers[key] = answer
            self.questions.pop(key)[1].set()

        if not self.over and not self.questions:
            self._change("working")

    async def run(self, work: Callable[[], Awaitable[HandlerResult]]) -> None:
        """See it to its end; whatever that is, it is kept."""
        _current.set(self)
        try:
            with self.scope:
                self.end(await work())
        except MCPError as error:
            self.error = error
            self._change("failed")
        except Exception as error:  # noqa: BLE001 - a task's failure is for whoever asks for it
            self.error = MCPError(INTERNAL_ERROR, f"the task failed: {type(error).__name__}: {error}")
            self._change("failed")

        if not self.over:
            self._change("cancelled")

        self.questions.clear()
        self.begun.set()

    def end(self, outcome: HandlerResult) -> None:
        self.outcome = outcome
        self._change("completed")

    def told(self, *, whole: bool) -> dict[str, Any]:
        """As it goes over the wire: the handle, or with `whole` what came of it too."""
        told: dict[str, Any] = {
            "resultType": "complete" if whole else "task",
            "taskId": self.id,
            "status": self.status,
            "createdAt": _stamp(self.created),
            "lastUpdatedAt": _stamp(self.changed),
            "ttlMs": KEPT_MS,
            "pollIntervalMs": POLL_MS,
        }
        if self.message:
            told["statusMessage"] = self.message

        if whole and self.questions:
            told["inputRequests"] = {key: _wire(request) for key, (request, _) in self.questions.items()}

        if whole and self.status == "completed":
            told["result"] = _wire(self.outcome)

        if whole and self.error is not None:
            told["error"] = _wire(self.error.error)

        return told

    def _change(self, status: Status) -> None:
        self.status, self.changed = status, time.time()


class _Named(RequestParams):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
    task_id: str


class _Update(_Named):
    input_responses: dict[str, Any] = Field(default_factory=dict)


class Tasks(Extension):
    """Give it to a `ToolServer`; it works while `running()` is entered, which the server's lifespan does."""

    identifier = TASKS

    def __init__(self, restore: Restore | None = None, stopped: Callable[[str], None] = lambda _: None) -> None:
        """`stopped` is told of each task that its client stops."""
        self._restore, self._stopped = restore, stopped
        self._tasks: dict[str, Task] = {}
        self._group: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Tasks live here; leaving it stops those that are not over."""
        async with anyio.create_task_group() as self._group:
            yield
            self._group.cancel_scope.cancel()

    def methods(self) -> list[MethodBinding]:
        bound = {"get": (_Named, self._get), "update": (_Update, self._update), "cancel": (_Named, self._cancel)}
        return [
            MethodBinding(f"tasks/{name}", params, _guarded(handler), MODERN)
            for name, (params, handler) in bound.items()
        ]

    async def intercept_tool_call(
        self,
        params: CallToolRequestParams,  # noqa: ARG002 - the SDK's signature
        ctx: ServerRequestContext[Any, Any],
        call_next: CallNext,
    ) -> HandlerResult:
        if self._group is None:
            return await call_next(ctx)

        task = Task(ctx, group=self._group)
        self._group.start_soon(task.run, lambda: call_next(ctx))
        try:
            await task.begun.wait()
        except anyio.get_cancelled_exc_class():
            task.scope.cancel()
            raise

        if task.long:
            self._keep(task)
            return task.told(whole=False)

        if task.error is not None:
            raise task.error

        return task.outcome

    def _keep(self, task: Task) -> None:
        now = time.time()
        over = [each for each in self._tasks.values() if each.over]
        for each in over:
            if now - each.changed > KEPT_MS / 1000 or len(self._tasks) >= MOST:
                del self._tasks[each.id]

        self._tasks[task.id] = task

    async def _find(self, task_id: str) -> Task:
        if (task := self._tasks.get(task_id)) is not None:
            return task

        rest = await self._restore(task_id) if self._restore and self._group else None
        if (task := self._tasks.get(task_id)) is not None:  # somebody else asked meanwhile
            return task

        if rest is None or self._group is None:
            raise MCPError(INVALID_PARAMS, f"there is no task {task_id!r}")

        restored = Task(task_id=task_id)
        self._keep(restored)
        if isinstance(rest, CallToolResult):
            restored.end(rest)
        else:
            self._group.start_soon(restored.run, lambda: rest(restored))

        return restored

    async def _get(self, params: _Named) -> dict[str, Any]:
        return (await self._find(params.task_id)).told(whole=True)

    async def _update(self, params: _Update) -> dict[str, Any]:
        task = await self._find(params.task_id)
        try:
            given = {key: each for key, each in params.input_responses.items() if key in task.questions}
            answers = {key: _ANSWER.validate_python(each) for key, each in given.items()}
        except ValidationError as error:
            raise MCPError(INVALID_PARAMS, f"an answer is none: {error.errors()[0]['msg']}") from None

        task.answer(answers)
        return {"resultType": "complete"}

    async def _cancel(self, params: _Named) -> dict[str, Any]:
        task = await self._find(params.task_id)
        if not task.over:
            self._stopped(task.id)
            task.scope.cancel()

        return {"resultType": "complete"}


_ANSWER = TypeAdapter(ElicitResult)


def _guarded(handler: Callable[[Any], Awaitable[dict[str, Any]]]) -> Any:
    """Only for clients that know tasks, and, over HTTP, under the header that names the task."""

    async def handle(ctx: ServerRequestContext[Any, Any], params: _Named) -> dict[str, Any]:
        require_client_extension(ctx, TASKS)
        headers = getattr(ctx.request, "headers", None)
        if headers is not None and decode_header_value(headers.get(MCP_NAME_HEADER)) != params.task_id:
            raise MCPError(HEADER_MISMATCH, f"{MCP_NAME_HEADER} is not the task that the request names")

        return await handler(params)

    return handle


def _modern(context: ServerRequestContext[Any, Any]) -> bool:
    return context.protocol_version in MODERN


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _wire(value: Any) -> Any:
    return value if isinstance(value, dict) else value.model_dump(by_alias=True, mode="json", exclude_none=True)
