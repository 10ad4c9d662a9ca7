"""What our MCP servers share: results as a small model wants to read them, and a quiet, strict `MCPServer`.

The tools themselves are plain functions over a core that knows nothing of MCP. They return a `Reply` (or its text) and
raise `ToolError`; both become results the model reads, without prefixes. Arguments a tool does not have are refused
rather than ignored: a misspelt one would silently do something else.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib import metadata
from types import FunctionType
from typing import Annotated, Any, cast

from mcp.server import MCPServer
from mcp.server.extension import Extension
from mcp.server.mcpserver import Context
from mcp.server.mcpserver import server as sdk
from mcp.server.mcpserver.exceptions import ToolError as RefusedCall
from mcp.server.stdio import stdio_server
from mcp_types import CallToolResult, ContentBlock, InputRequiredResult, TextContent, ToolAnnotations
from pydantic import BaseModel, ValidationError

from journeyman.errors import ToolError
from journeyman.mcp_servers.wire import wire

Lifespan = Callable[[MCPServer[Any]], AbstractAsyncContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Reply:
    text: str
    data: BaseModel | None = None
    """Structured content; the tool's declared output."""
    more: Sequence[ContentBlock] = ()
    """Pictures, and links to what was made."""


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

        self.lifespan = lifespan
        """Opens and closes what the server holds; for whoever calls its tools without a session."""

    def offer(self, function: FunctionType, hints: ToolAnnotations, output: type[BaseModel] | None = None) -> None:
        """Add a tool: its name, arguments and one-line description are the function's own.

        A plain function runs in a worker thread; an `async` one runs on the event loop and must not block it.
        """
        self.add_tool(_answering(function, output), annotations=hints)
        tool = self._tool_manager.get_tool(function.__name__)
        if tool is not None:
            tool.parameters = _bare(tool.parameters)

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

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        tool = self._tool_manager.get_tool(name)
        if tool is None:
            known = ", ".join(tool.name for tool in self._tool_manager.list_tools())
            return _error(f"there is no tool {name!r}; there are: {known}")

        expected = tool.parameters["properties"]
        if unknown := [argument for argument in arguments if argument not in expected]:
            return _error(f"{name} has no argument {unknown[0]!r}; it takes {', '.join(expected)}")

        try:
            return await super().call_tool(name, arguments, context)
        except RefusedCall as error:
            if isinstance(error.__cause__, ValidationError):
                return _error(_complaint(name, error.__cause__))

            raise


def hints(
    *, read_only: bool = False, destructive: bool = False, idempotent: bool = False, outside: bool = False
) -> ToolAnnotations:
    """All of a tool's annotations, said outright: the defaults of the protocol are the pessimistic ones.

    `outside`: it reaches beyond this machine.
    """
    return ToolAnnotations(
        read_only_hint=read_only,
        destructive_hint=destructive,
        idempotent_hint=idempotent or read_only,
        open_world_hint=outside,
    )


def _answering(
    function: FunctionType, output: type[BaseModel] | None
) -> Callable[..., CallToolResult | Awaitable[CallToolResult]]:
    """The function as the SDK wants it: the same parameters, a `CallToolResult`, no error of ours passes."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def answer(**arguments: Any) -> CallToolResult:
            try:
                return _result(await function(**arguments))
            except ToolError as error:
                return _error(str(error))

    else:

        @functools.wraps(function)
        def answer(**arguments: Any) -> CallToolResult:
            try:
                return _result(function(**arguments))
            except ToolError as error:
                return _error(str(error))

    returns = CallToolResult if output is None else Annotated[CallToolResult, output]
    signature = inspect.signature(function, eval_str=True).replace(return_annotation=returns)
    vars(answer)["__signature__"] = signature
    answer.__annotations__ = {**answer.__annotations__, "return": returns}
    return answer


def _result(reply: Reply | str) -> CallToolResult:
    if isinstance(reply, str):
        reply = Reply(reply)

    data = reply.data.model_dump(mode="json") if reply.data else None
    return CallToolResult(content=[TextContent(type="text", text=reply.text), *reply.more], structured_content=data)


def _error(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def _complaint(name: str, error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    argument = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{name} needs the argument {argument!r}"

    return f"{name}: {argument}: {first['msg'][0].lower()}{first['msg'][1:]}"


def _bare(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without generated titles, which only repeat names, and closed to other arguments."""
    properties = {
        name: {key: value for key, value in field.items() if key != "title"}
        for name, field in schema["properties"].items()
    }
    rest = {key: value for key, value in schema.items() if key not in {"title", "properties"}}
    return {**rest, "properties": properties, "additionalProperties": False}


def _leave_logging_alone(level: str = "INFO") -> None:
    """Stands in for the SDK's set-up of the root logger."""
