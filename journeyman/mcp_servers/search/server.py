"""Full-text search in one folder as an MCP server."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anyio.from_thread
from pydantic import BaseModel

from journeyman.mcp_servers.files.workspace import Workspace
from journeyman.mcp_servers.search.index import Index
from journeyman.mcp_servers.toolset import Reply, Toolset, hints, progress
from journeyman.sandbox.paths import Root
from journeyman.sandbox.refusals import told


class Line(BaseModel):
    path: str
    line: int
    text: str


class Hits(BaseModel):
    hits: list[Line]
    complete: bool
    """All files were searched."""


def build(root: Path, *, full: bool = False) -> Toolset:  # noqa: ARG001 - every server is built the same way
    folder = Root(root)
    index = Index(folder, checkpoint=anyio.from_thread.check_cancelled, progress=progress)
    files = Workspace(folder)

    @asynccontextmanager
    async def closing(_: Any) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            index.close()

    def search(query: str, k: int = 5) -> Reply:
        """Search the text of all files"""
        hits, left_out = index.search(query, k)
        text = "\n".join(map(str, hits)) or f'no matches for "{told(query)}"'
        told_all = "\n".join(filter(None, [text, left_out]))
        return Reply(told_all, Hits(hits=[Line(**asdict(hit)) for hit in hits], complete=not left_out))

    def open(path: str, start: int = 1, lines: int = 40) -> str:  # noqa: A001 - the tool's name
        """Read lines of a file"""
        return files.read(path, start, lines)

    server = Toolset("search", "Full-text search in the text files of one folder.", lifespan=closing)
    server.offer(search, hints(read_only=True), Hits)
    server.offer(open, hints(read_only=True))
    return server
