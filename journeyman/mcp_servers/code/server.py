"""Python and a shell in the sandbox as an MCP server. All clients of one server share one session."""

import base64
import mimetypes
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import anyio

from journeyman.errors import SandboxError, ToolError
from journeyman.mcp_servers.code.session import Done, Session
from journeyman.mcp_servers.toolset import Files, Json, Reply, Toolset, hints
from journeyman.sandbox.sandbox import Rich
from journeyman.sandbox.select import asked

LINKED = 20
CLOSING_S = 5.0
ARTEFACT = "artefact:///"


def build(
    root: Path,  # noqa: ARG001 - every server is built the same way; the code sees no folder
    *,
    sandbox: str = "auto",
    hosts: Sequence[str] = (),
    full: bool = False,
) -> Toolset:
    spec = asked(sandbox).model_copy(update={"allow_hosts": tuple(hosts)})
    session = Session(spec, artefacts=full)

    @asynccontextmanager
    async def closing(_: Any) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            with anyio.move_on_after(CLOSING_S, shield=True):  # whoever ends it does so by cancelling
                await session.close()

    server = Toolset(
        "code", "Python in a sandbox, with a scratch folder and without network. Variables persist.", lifespan=closing
    )

    async def python(code: str) -> Reply:
        """Run Python code"""
        return await _reply(session.cell(code))

    server.offer(python, hints())
    if full:
        _offer_more(server, session)

    return server


def _offer_more(server: Toolset, session: Session) -> None:
    async def shell(command: str) -> Reply:
        """Run a shell command in the sandbox"""
        return await _reply(session.shell(command))

    server.offer(shell, hints())

    async def read(path: str) -> bytes:
        return await session.read(unquote(path))

    server.files = Files("artefact", "A file that the code made", ARTEFACT, read)


async def _reply(work: Awaitable[Done]) -> Reply:
    try:
        done = await work
    except SandboxError as error:
        raise ToolError(f"{error}; {error.fix}") from error

    pictures = [_picture(each) for each in done.shown if each.mime in {"image/png", "image/jpeg"}]
    return Reply(done.text, more=[*pictures, *map(_link, done.made[:LINKED])])


def _picture(rich: Rich) -> Json:
    return {"type": "image", "data": base64.b64encode(rich.data).decode(), "mimeType": rich.mime}


def _link(path: str) -> Json:
    kind = mimetypes.guess_type(path)[0]
    link = {"type": "resource_link", "uri": f"{ARTEFACT}{quote(path)}", "name": path}
    return {**link, "mimeType": kind} if kind else link
