"""Text files of one folder as an MCP server."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import anyio.from_thread
from pydantic import BaseModel, Field

from journeyman.mcp_servers.files.finding import Finder
from journeyman.mcp_servers.files.journal import Journal
from journeyman.mcp_servers.files.workspace import Workspace
from journeyman.mcp_servers.toolset import Reply, Toolset, hints
from journeyman.sandbox.paths import Root
from journeyman.sandbox.refusals import told

Skip = Annotated[int, Field(ge=0)]
Ignored = Annotated[bool, Field(description="what .gitignore names, too")]


class Info(BaseModel):
    path: str
    kind: str
    bytes: int | None
    lines: int | None
    words: int | None
    entries: int | None


class Listed(BaseModel):
    name: str
    kind: str


class Listing(BaseModel):
    entries: list[Listed]
    more: bool


class Paths(BaseModel):
    paths: list[str]
    next: int | None
    """What to skip for the rest, if there is one."""


class Matched(BaseModel):
    path: str
    line: int
    text: str


class Matches(BaseModel):
    matches: list[Matched]
    next: int | None


def build(root: Path, *, full: bool = False) -> Toolset:
    folder = Root(root)
    journal = Journal(folder) if full else None
    files = Workspace(folder, journal)
    server = Toolset("files", "Text files of one folder. Paths are relative to it.")

    def info(path: str) -> Reply:
        """Count lines, words and bytes of a file"""
        facts = files.info(path)
        return Reply(facts.text, Info(**asdict(facts)))

    def read(path: str, start: int = 1, lines: int = 200) -> str:
        """Read a text file"""
        return files.read(path, start, lines)

    def list(path: str = ".") -> Reply:  # noqa: A001 - the tool's name
        """List the files in a folder"""
        text, entries, more = files.list(path)
        return Reply(
            text, Listing(entries=[Listed(name=told(each.name), kind=each.kind) for each in entries], more=more)
        )

    def write(path: str, content: str) -> Reply:
        """Write a text file"""
        text, facts = files.write(path, content)
        return Reply(text, Info(**asdict(facts)))

    def edit(path: str, old: str, new: str) -> Reply:
        """Replace text in a file"""
        text, facts = files.edit(path, old, new)
        return Reply(text, Info(**asdict(facts)))

    server.offer(info, hints(read_only=True), Info)
    server.offer(read, hints(read_only=True))
    server.offer(list, hints(read_only=True), Listing)
    server.offer(write, hints(destructive=True, idempotent=True), Info)
    server.offer(edit, hints(destructive=True), Info)
    if journal is not None:
        _offer_finding(server, Finder(folder, anyio.from_thread.check_cancelled))
        _offer_changes(server, files, journal)

    return server


def _offer_finding(server: Toolset, finder: Finder) -> None:
    def glob(pattern: str, path: str = ".", skip: Skip = 0, ignored: Ignored = False) -> Reply:
        """Find files by a pattern such as **/*.md"""
        page = finder.glob(pattern, path, skip, ignored=ignored)
        return Reply(page.text, Paths(paths=page.items, next=page.next))

    def grep(  # noqa: PLR0917 - a model names them
        pattern: str,
        path: str = ".",
        glob: str = "",
        context: Annotated[int, Field(ge=0, le=20)] = 0,
        ignore_case: bool = False,
        skip: Skip = 0,
        ignored: Ignored = False,
    ) -> Reply:
        """Find lines by a regular expression"""
        page = finder.grep(pattern, path, glob, context, skip, ignore_case=ignore_case, ignored=ignored)
        matches = [Matched(path=each.path, line=each.line, text=each.text) for each in page.items]
        return Reply(page.text, Matches(matches=matches, next=page.next))

    def tree(path: str = ".", depth: Annotated[int, Field(ge=1, le=10)] = 3, ignored: Ignored = False) -> str:
        """Show folders and files as a tree"""
        return finder.tree(path, depth, ignored=ignored)

    server.offer(glob, hints(read_only=True), Paths)
    server.offer(grep, hints(read_only=True), Matches)
    server.offer(tree, hints(read_only=True))


def _offer_changes(server: Toolset, files: Workspace, journal: Journal) -> None:
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
