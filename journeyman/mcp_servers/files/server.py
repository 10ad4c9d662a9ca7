"""Text files of one folder as an MCP server."""

from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel

from journeyman.mcp_servers.base import Reply, ToolServer, hints
from journeyman.mcp_servers.files.workspace import Workspace
from journeyman.sandbox.paths import Root


class Info(BaseModel):
    path: str
    kind: str
    bytes: int | None
    lines: int | None
    words: int | None
    entries: int | None


def build(root: Path, *, full: bool = False) -> ToolServer:
    files = Workspace(Root(root))
    server = ToolServer("files", "Text files of one folder. Paths are relative to it.")

    def info(path: str) -> Reply:
        """Count lines, words and bytes of a file"""
        facts = files.info(path)
        return Reply(facts.text, Info(**asdict(facts)))

    def read(path: str, start: int = 1, lines: int = 200) -> str:
        """Read a text file"""
        return files.read(path, start, lines)

    def list(path: str = ".") -> str:  # noqa: A001 - the tool's name
        """List the files in a folder"""
        return files.list(path)

    def write(path: str, content: str) -> str:
        """Write a text file"""
        return files.write(path, content)

    def edit(path: str, old: str, new: str) -> str:
        """Replace text in a file"""
        return files.edit(path, old, new)

    server.offer(info, hints(read_only=True), Info)
    server.offer(read, hints(read_only=True))
    server.offer(list, hints(read_only=True))
    server.offer(write, hints(destructive=True, idempotent=True))
    server.offer(edit, hints(destructive=True))
    return server
