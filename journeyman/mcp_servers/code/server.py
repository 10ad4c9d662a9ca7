"""Python in the sandbox as an MCP server. All clients of one server share one session."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp.server import MCPServer

from journeyman.errors import SandboxError, ToolError
from journeyman.mcp_servers.base import ToolServer, hints
from journeyman.mcp_servers.code.session import Session
from journeyman.sandbox.select import asked


def build(root: Path, *, sandbox: str = "auto", full: bool = False) -> ToolServer:  # noqa: ARG001 - every server is built the same way; the code sees no folder
    session = Session(asked(sandbox))

    @asynccontextmanager
    async def closing(_: MCPServer[Any]) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await session.close()

    async def python(code: str) -> str:
        """Run Python code"""
        try:
            return await session.python(code)
        except SandboxError as error:
            raise ToolError(f"{error}; {error.fix}") from error

    server = ToolServer(
        "code", "Python in a sandbox, with a scratch folder and without network. Variables persist.", lifespan=closing
    )
    server.offer(python, hints())
    return server
