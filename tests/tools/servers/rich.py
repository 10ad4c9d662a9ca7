"""A server with more than tools, on the base of our own: `python rich.py [FILE]`, where FILE remembers its tasks."""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import anyio
from mcp.server.mcpserver import Context, Elicit, Resolve
from mcp_types import CallToolResult, ElicitRequestFormParams, ElicitRequestURLParams, InputRequiredResult, TextContent
from mcp_types import ElicitRequest as Asked
from pydantic import BaseModel

from journeyman.mcp_servers.base import ToolServer
from journeyman.mcp_servers.tasks import Task, Tasks, Work, background

BOOK = Path(sys.argv[1]) if len(sys.argv) > 1 else None
FORM = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "loud": {"type": "boolean", "default": False}},
    "required": ["name"],
}


async def restore(task_id: str) -> Work | None:
    async def rest(_: Task) -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text=f"{task_id} goes on")])

    return rest if BOOK and BOOK.exists() and BOOK.read_text("utf-8") == task_id else None


tasks = Tasks(restore)


@asynccontextmanager
async def lifespan(_: Any) -> AsyncGenerator[None]:
    async with tasks.running():
        yield


server = ToolServer("rich", "For tests.", lifespan=lifespan, extensions=[tasks])


class Name(BaseModel):
    name: str


async def who() -> Elicit[Name]:
    return Elicit("Who are you?", Name)


@server.tool()
def greet(who: Annotated[Name, Resolve(who)]) -> str:
    """Greet the user."""
    return f"Hello, {who.name}!"


waiting = anyio.Event()


async def who_later() -> Elicit[Name]:
    await waiting.wait()
    return Elicit("Who are you?", Name)


@server.tool()
def greet_later(who: Annotated[Name, Resolve(who_later)]) -> str:
    """Greet the user, once another call waits."""
    return f"Hello, {who.name}!"


@server.tool()
async def wait() -> str:
    """Wait for ever."""
    waiting.set()
    await anyio.sleep_forever()
    return "never"


@server.tool()
async def visit(ctx: Context[Any, Any]) -> str | InputRequiredResult:
    """Send the user to a page."""
    if answers := ctx.input_responses:
        return getattr(answers["page"], "action", "")

    page = ElicitRequestURLParams(message="Sign here.", url="https://sign.example/1")
    return InputRequiredResult(input_requests={"page": Asked(params=page)})


@server.tool()
async def slow(seconds: float) -> str:
    """Take some time, in the background."""
    task = await background()
    task.report("under way")
    await anyio.sleep(seconds)
    return "done"


@server.tool()
async def ask_later() -> str:
    """Ask while it works in the background."""
    task = await background()
    answer = await task.ask(ElicitRequestFormParams(message="Who are you?", requested_schema=FORM))
    return f"{answer.action} {answer.content}"


@server.tool()
async def die_at_work() -> str:
    """Begin a task and remember it; the process ends when it is asked for."""
    task = await background()
    assert BOOK is not None
    BOOK.write_text(task.id, "utf-8")
    dying.set()
    await anyio.sleep_forever()
    return "never"


dying = Event()


async def end(ctx: Any, call_next: Any) -> Any:
    if dying.is_set() and ctx.method == "tasks/get":
        os._exit(9)

    return await call_next(ctx)


server.middleware.append(end)


@server.tool()
async def change(ctx: Context[Any, Any]) -> str:
    """Get another tool."""
    server.add_tool(lambda: "new", name="another", description="New here.")
    await ctx.notify_tools_changed()
    await ctx.session.send_tool_list_changed()
    return "changed"


@server.tool()
async def water(ctx: Context[Any, Any]) -> str:
    """Do what is due today."""
    await ctx.notify_resource_updated("notes://today")
    return "watered"


@server.resource("notes://today", title="What is due today")
def today() -> str:
    """Today's notes."""
    return "water the plants"


@server.resource("notes://{day}/all")
def day(day: str) -> str:
    """A day's notes."""
    return f"nothing on {day}"


@server.prompt()
def review(style: str) -> str:
    """How to review."""
    return f"Review it in a {style} style."


if __name__ == "__main__":
    server.run()
