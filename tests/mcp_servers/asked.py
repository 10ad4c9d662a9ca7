"""A server of ours, asked by a client in the same process."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from mcp import Client
from mcp_types import TextContent


@asynccontextmanager
async def asked(server: Any) -> AsyncGenerator[Any]:
    """`await call(tool, name=value)`: the text it answers with."""
    async with Client(server) as client:

        async def call(tool: str, **arguments: Any) -> str:
            result = await client.call_tool(tool, arguments)
            (content,) = result.content
            assert isinstance(content, TextContent)
            return f"error: {content.text}" if result.is_error else content.text

        yield call
