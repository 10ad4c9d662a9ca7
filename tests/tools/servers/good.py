# ruff: noqa: T201 - its standard output is the wire
"""A well-behaved server, made with the SDK."""

import socket
import sys

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, ImageContent, TextContent, ToolAnnotations

server = MCPServer("good")
READ_ONLY = ToolAnnotations(read_only_hint=True)


@server.tool(annotations=READ_ONLY)
def add(a: int, b: int = 0) -> int:
    """Add two
    numbers.
    """
    return a + b


@server.tool()
def refuse() -> str:
    raise ToolError("not today")


@server.tool()
def picture() -> CallToolResult:
    image = ImageContent(type="image", data="QUJD", mime_type="image/png")
    return CallToolResult(content=[TextContent(type="text", text="see"), image])


@server.tool(annotations=READ_ONLY)
def whence(ctx: Context) -> str:
    meta = ctx.request_context.meta or {}
    return f"{meta.get('traceparent')} {(ctx.headers or {}).get('traceparent')}"


@server.tool()
async def slow(ctx: Context) -> str:
    await ctx.report_progress(1, 4, "a quarter")
    await anyio.sleep(30)
    return "late"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    if sys.argv[1:] == ["http"]:
        port = free_port()
        print(port, flush=True)
        server.run("streamable-http", host="127.0.0.1", port=port)
    else:
        server.run()
