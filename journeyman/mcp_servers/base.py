"""A toolset as the MCP SDK serves it: over HTTP, to a client in this process, or with tools of the SDK's own kind."""

from collections.abc import Sequence
from importlib import metadata
from typing import Any, Self, cast

from mcp.server import MCPServer
from mcp.server.extension import Extension
from mcp.server.mcpserver import Context
from mcp.server.mcpserver import server as sdk
from mcp.server.stdio import stdio_server
from mcp_types import CallToolResult, InputRequiredResult, Tool
from pydantic import BaseModel

from journeyman.mcp_servers.toolset import Function, Json, Lifespan, Toolset
from journeyman.mcp_servers.wire import wire


class ToolServer(MCPServer[Any]):
    """An `MCPServer` that leaves logging alone and words its refusals for a small model."""

    def __init__(
        self, name: str, instructions: str, *, lifespan: Lifespan | None = None, extensions: Sequence[Extension] = ()
    ) -> None:
        # The SDK would put a handler of its own on the root logger, and import a terminal library to build it.
        namespace = vars(sdk)
        configure = namespace["configure_logging"]
        namespace["configure_logging"] = _leave_logging_alone
        try:
            super().__init__(
                name,
                instructions=instructions,
                version=metadata.version("journeyman"),
                lifespan=lifespan,
                extensions=extensions,
            )
        finally:
            namespace["configure_logging"] = configure

        self.toolset = Toolset(name, instructions, lifespan=lifespan)

    @classmethod
    def of(cls, toolset: Toolset) -> Self:
        """The server that offers these tools."""
        made = cls(toolset.name, toolset.instructions, lifespan=toolset.lifespan)
        made.toolset = toolset
        if (files := toolset.files) is not None:

            async def read(path: str) -> bytes | str:
                return text(await files.read(path))

            template = made.resource(files.prefix + "{+path}", name=files.name, description=files.description)
            template(read)

        return made

    def offer(self, function: Function, hints: Json, output: type[BaseModel] | None = None) -> None:
        """Add a tool, as `Toolset.offer` does."""
        self.toolset.offer(function, hints, output)

    async def run_stdio_async(self) -> None:
        """Serve on the standard streams, until the client goes away."""
        with wire() as ends:
            if ends is None:
                await super().run_stdio_async()
                return

            reading, writing = ends
            async with stdio_server(stdin=cast("Any", reading), stdout=cast("Any", writing)) as (incoming, outgoing):
                options = self._lowlevel_server.create_initialization_options()
                await self._lowlevel_server.run(incoming, outgoing, options)

    async def list_tools(self) -> list[Tool]:
        ours = [Tool.model_validate(tool.definition) for tool in self.toolset.tools.values()]
        return ours + await super().list_tools()

    async def call_tool(
        self, name: str, arguments: Json, context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        if self._tool_manager.get_tool(name) is not None:
            return await super().call_tool(name, arguments, context)

        report = context.report_progress if context is not None else None
        result = await self.toolset.call(name, arguments, report)
        return result if isinstance(result, CallToolResult) else CallToolResult.model_validate(result)


def text(data: bytes) -> bytes | str:
    """As text, where it is some."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _leave_logging_alone(level: str = "INFO") -> None:
    """Stands in for the SDK's set-up of the root logger."""
