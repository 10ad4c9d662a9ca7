"""journeyman itself as an MCP server: other agents give it tasks and read what came of them.

A task is a run. Its handle is the run's id and its state is what the trace says, so that it outlives this process: a
client that asks for it after a restart sees it go on. The prompt is the word of the client's model, not of the user:
it is nobody's leave to do what it says. What the policy asks about is put to the person at the client.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult, ElicitRequestFormParams, TextContent

from journeyman.agent.order import Order, Result
from journeyman.agent.runtime import Runtime
from journeyman.errors import ConfigError, UsageError
from journeyman.mcp_servers.base import ToolServer
from journeyman.mcp_servers.tasks import Task, Tasks, Work, background
from journeyman.mcp_servers.toolset import hints
from journeyman.safe import safe
from journeyman.traces.events import ApprovalAnswered, ApprovalRequested, CallStarted, Event, ModelRequested, RunStarted
from journeyman.traces.store import new_run_id
from journeyman.traces.transcript import transcript

RECENT = 20
"""Runs that are listed."""
ANSWER = {
    "type": "object",
    "properties": {
        "approve": {"type": "boolean", "title": "Do it", "default": False},
        "reason": {"type": "string", "title": "Why not, for the agent", "default": ""},
    },
    "required": ["approve"],
}


class Served:
    """A runtime that other agents use.

    Args:
        runtime: entered by the server, for as long as it serves.
        order: what every task is like; its prompt is replaced.
        stopped: the file that remembers which tasks were stopped by who gave them.
    """

    def __init__(self, runtime: Runtime, order: Order, stopped: Path) -> None:
        self._runtime, self._order, self._stopped = runtime, order, stopped
        self._tasks = Tasks(self._restore, self._stop)
        about = "An agent with tools of its own. Give it a task in plain words; what it did can be read afterwards."
        self.server = ToolServer("journeyman", about, lifespan=self._lifespan, extensions=[self._tasks])
        self.server.offer(self.run_agent, hints(destructive=True))
        self.server.resource("trace://runs", title="Recent runs", mime_type="text/plain")(self._recent)
        self.server.resource("trace://run/{run_id}", title="What a run did", mime_type="text/plain")(self._run)

    async def run_agent(self, task: str) -> CallToolResult:
        """Give journeyman a task; its answer comes when it is done, which can take minutes."""
        run_id = new_run_id()
        handle = await background(run_id)
        order = self._of(task)
        watching = _Watching(handle)
        return _result(
            await self._runtime.run(order, approver=watching.approve, listeners=[watching.hear], run_id=run_id)
        )

    @asynccontextmanager
    async def _lifespan(self, _server: Any) -> AsyncGenerator[None]:
        async with self._runtime, self._tasks.running():
            yield

    async def _restore(self, run_id: str) -> Work | CallToolResult | None:
        """What is left of a task: to go on with its run, or only its result, which nobody can stop any more."""
        events = [each.event for each in self._runtime.store.own_events(run_id)]
        if not events or not isinstance(events[0], RunStarted) or events[0].origin != "model":
            return None

        last = events[-1]
        if last.type == "run_finished" and last.outcome != "interrupted":
            error = (last.error or {}).get("message", last.outcome)
            return _told(last.answer if last.answer is not None else error, run_id, wrong=last.answer is None)

        async def rest(handle: Task) -> CallToolResult:
            if self._was_stopped(run_id):
                raise MCPError(INVALID_PARAMS, "the task was stopped")

            watching = _Watching(handle)
            return _result(
                await self._runtime.resume(run_id, self._of(""), approver=watching.approve, listeners=[watching.hear])
            )

        return rest

    def _of(self, prompt: str) -> Order:
        return replace(self._order, prompt=prompt, origin="model")

    def _stop(self, run_id: str) -> None:
        try:
            self._stopped.parent.mkdir(parents=True, exist_ok=True)
            with self._stopped.open("a", encoding="utf-8") as book:
                book.write(f"{run_id}\n")
        except OSError as error:
            told = f"that the task {run_id} was stopped cannot be kept: {error}"
            raise ConfigError(told, fix=f"make {self._stopped.parent} writable") from error

    def _was_stopped(self, run_id: str) -> bool:
        return self._stopped.exists() and run_id in self._stopped.read_text("utf-8").split()

    def _recent(self) -> str:
        """Id, outcome and prompt of the runs of late, newest first."""
        runs = self._runtime.store.runs(RECENT)
        return "\n".join(f"{run.run_id} {run.outcome or 'under way'}: {safe(run.prompt, 100)}" for run in runs)

    def _run(self, run_id: str) -> str:
        """A run from its prompt to its answer."""
        try:
            stored = self._runtime.store.events(self._runtime.store.resolve(run_id))
        except UsageError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from None

        return "\n".join(transcript(stored, safe))


class _Watching:
    """What a client is told of a run, and asked."""

    def __init__(self, handle: Task) -> None:
        self._handle = handle

    def hear(self, event: Event) -> None:
        if isinstance(event, ModelRequested):
            self._handle.report(f"step {event.step}")
        elif isinstance(event, CallStarted):
            self._handle.report(f"{self._handle.message.partition(', ')[0]}, call {event.call_id}")

    async def approve(self, request: ApprovalRequested) -> ApprovalAnswered:
        told = ", ".join(f"{name}: {safe(str(value), 500)}" for name, value in request.arguments.items())
        question = f"May it call {safe(request.tool)} ({told})? It is asked because {safe(request.reason)}."
        answer = await self._handle.ask(ElicitRequestFormParams(message=question, requested_schema=ANSWER))
        content = answer.content or {}
        approved = answer.action == "accept" and content.get("approve") is True
        reason = "" if approved else str(content.get("reason") or "the user said no")
        return ApprovalAnswered(call_id=request.call_id, approved=approved, reason=reason, token=request.token)


def _result(result: Result) -> CallToolResult:
    wrong = result.answer is None
    return _told(str(result.error) if wrong else result.answer or "", result.run_id, wrong=wrong)


def _told(text: str, run_id: str, *, wrong: bool) -> CallToolResult:
    content = TextContent(type="text", text=text)
    return CallToolResult(content=[content], structured_content={"run_id": run_id}, is_error=wrong)
