"""Full-text search in one folder as an MCP server."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.from_thread
from mcp.server import MCPServer

from journeyman.mcp_servers.base import ToolServer, hints
from journeyman.mcp_servers.files.workspace import Workspace
from journeyman.mcp_servers.search.index import Index
from journeyman.sandbox.paths import Root
from journeyman.sandbox.refusals import told


def build(root: Path, *, full: bool = False) -> ToolServer:  # noqa: ARG001 - every server is built the same way
    folder = Root(root)
    index = Index(folder, checkpoint=anyio.from_thread.check_cancelled)
    files = Workspace(folder)

    @asynccontextmanager
    async def closing(_: MCPServer[Any]) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            index.close()

    def search(query: str, k: int = 5) -> str:
        """Search the text of all files"""
        hits, complete = index.search(query, k)
        text = "\n".join(map(str, hits)) or f'no matches for "{told(query)}"'
        return text if complete else f"{text}\n[some files were not searched: too large, too many or not readable]"

    def open(path: str, start: int = 1, lines: int = 40) -> str:  # noqa: A001 - the tool's name
        """Read lines of a file"""
        return files.read(path, start, lines)

    server = ToolServer("search", "Full-text search in the text files of one folder.", lifespan=closing)
    server.offer(search, hints(read_only=True))
    server.offer(open, hints(read_only=True))
    return server
