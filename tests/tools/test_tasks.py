"""A task that a server made of a call, followed by us."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, ElicitRequestFormParams, ElicitResult

from journeyman.mcp_servers.base import ToolServer
from journeyman.mcp_servers.tasks import Tasks, background
from journeyman.tools.tasks import Handles, handle, look


async def test_an_answer_that_did_not_reach_the_server_is_given_again():
    tasks, asked, lost = Tasks(), list[str](), list[str]()

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncGenerator[None]:
        async with tasks.running():
            yield

    async def name() -> str:
        """Ask for a name."""
        task = await background()
        answer = await task.ask(ElicitRequestFormParams(message="Who?", requested_schema={"type": "object"}))
        return str((answer.content or {})["name"])

    async def lose(ctx: Any, call_next: Any) -> Any:
        if ctx.method == "tasks/update" and not lost:
            lost.append(ctx.method)
            raise MCPError(INTERNAL_ERROR, "lost")

        return await call_next(ctx)

    async def ask(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"name": "Ada"})

    server = ToolServer("asker", "For tests.", lifespan=lifespan, extensions=[tasks])
    server.add_tool(name, structured_output=False)
    server.middleware.append(lose)
    answered: set[str] = set()
    async with Client(server, extensions=[Handles()], elicitation_callback=ask) as client:
        task = handle(await client.call_tool("name", {})) or ""
        with pytest.raises(MCPError, match="lost"):
            await _end(client, task, answered)

        result = await _end(client, task, answered)

    assert (result.is_error, result.content[0].text, asked) == (False, "Ada", ["Who?", "Who?"])


async def _end(client: Client, task: str, answered: set[str]) -> Any:
    with anyio.fail_after(50):
        while True:
            result, _, seconds = await look(client, task, answered)
            if result is not None:
                return result

            await anyio.sleep(min(seconds, 0.05))
