"""Text files of one folder as an MCP server."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import anyio.from_thread
from pydantic import BaseModel, Field

from journeyman.mcp_servers.base import Reply, ToolServer, hints
from journeyman.mcp_servers.files.finding import Finder
from journeyman.mcp_servers.files.journal import Journal
from journeyman.mcp_servers.files.workspace import Workspace
from journeyman.sandbox.paths import Root

Skip = Annotated[int, Field(ge=0)]


class Info(BaseModel):
    path: str
    kind: str
    bytes: int | None
    lines: int | None
    words: int | None
    entries: int | None


def build(root: Path, *, full: bool = False) -> ToolServer:
    folder = Root(root)
    journal = Journal(folder) if full else None
    files = Workspace(folder, journal)
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
    if journal is not None:
        _offer_finding(server, Finder(folder, anyio.from_thread.check_cancelled))
        _offer_changes(server, files, journal)

    return server


def _offer_finding(server: ToolServer, finder: Finder) -> None:
    def glob(pattern: str, path: str = ".", skip: Skip = 0) -> str:
        """Find files by a pattern such as **/*.md"""
        return finder.glob(pattern, path, skip)

    def grep(  # noqa: PLR0917 - a model names them
        pattern: str,
        path: str = ".",
        glob: str = "",
        context: Annotated[int, Field(ge=0, le=20)] = 0,
        ignore_case: bool = False,
        skip: Skip = 0,
    ) -> str:
        """Find lines by a regular expression"""
        return finder.grep(pattern, path, glob, context, skip, ignore_case=ignore_case)

    def tree(path: str = ".", depth: Annotated[int, Field(ge=1, le=10)] = 3) -> str:
        """Show folders and files as a tree"""
        return finder.tree(path, depth)

    for tool in (glob, grep, tree):
        server.offer(tool, hints(read_only=True))


def _offer_changes(server: ToolServer, files: Workspace, journal: Journal) -> None:
    def move(source: str, target: str) -> str:
        """Move or rename a file or folder"""
        return files.move(source, target)

    def delete(path: str) -> str:
        """Move a file or folder to the trash"""
        return files.delete(path)

    def diff(path: str = "") -> str:
        """Show what was changed in this session"""
        return journal.diff(path)

    def undo() -> str:
        """Take back the last change"""
        return journal.undo()

    server.offer(move, hints())
    server.offer(delete, hints(destructive=True))
    server.offer(diff, hints(read_only=True))
    server.offer(undo, hints(destructive=True))
