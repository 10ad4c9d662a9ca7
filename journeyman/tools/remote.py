"""A tool that lives on an MCP server."""

from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from journeyman.tools.offers import specs as besides
from journeyman.tools.result import LIMIT, capped
from journeyman.tools.schema import Schema
from journeyman.tools.server import Server
from journeyman.tools.target import Builtin
from journeyman.tools.tool import Output, Report
from journeyman.traces.messages import ToolSpec

if TYPE_CHECKING:
    from mcp_types import CallToolResult, Tool

DESCRIPTION = 1000
"""Characters of a description that a model reads."""


class RemoteTool:
    """One tool of a server, under the name that a model is offered."""

    def __init__(self, server: Server, spec: ToolSpec) -> None:
        self.spec = spec
        self._server = server
        self._schema = Schema(spec)
        self._checks_itself = isinstance(server.target, Builtin)

    def parse(self, arguments: str) -> dict[str, JsonValue]:
        return self._schema.parse(arguments)

    async def call(self, arguments: dict[str, JsonValue], report: Report) -> Output:
        if not self._checks_itself:
            self._schema.check(arguments)  # a person may have edited them

        return self._server.with_news(as_output(await self._server.call(self.spec.tool, arguments, report)))


async def offered(server: Server) -> list[ToolSpec]:
    """The usable tools of a server, by name; what is not usable is a notice of the server.

    Raises:
        ServerError: it cannot be started or asked.
    """
    specs: dict[str, ToolSpec] = {}
    for tool in await server.tools():
        if problem := _problem(tool, specs, trusted=isinstance(server.target, Builtin)):
            server.notices.append(f"the tool {tool.name!r} is left out: {problem}")
        else:
            specs[tool.name] = _spec(server, tool)

    return [*(specs[name] for name in sorted(specs)), *besides(server, list(specs))]


def _problem(tool: "Tool", earlier: dict[str, ToolSpec], *, trusted: bool) -> str:
    if trusted:
        return ""

    if not tool.name.isprintable() or not tool.name.strip():
        return "its name cannot be shown"

    return "a second one of that name" if tool.name in earlier else ""


def _spec(server: Server, tool: "Tool") -> ToolSpec:
    """What a stranger says of its effects is not believed: it would let a call be made twice."""
    hints = tool.annotations if isinstance(server.target, Builtin) else None
    return ToolSpec(
        name="unnamed",
        server=server.name,
        tool=tool.name,
        description=" ".join((tool.description or "").split())[:DESCRIPTION],
        parameters=tool.input_schema,
        read_only=bool(hints and hints.read_only_hint),
        idempotent=bool(hints and hints.idempotent_hint),
    )


def as_output(result: "CallToolResult") -> Output:
    """What a model can read of a result: its texts; of everything else, what it is."""
    from pydantic_core import to_json  # noqa: PLC0415

    data = result.structured_content
    text = "\n".join(_text(block) for block in result.content)
    plain = to_json(data).decode() if data is not None else ""
    shown = text if result.content else plain
    return Output(capped(shown), data if len(plain) <= LIMIT else None, is_error=bool(result.is_error))


def _text(block: Any) -> str:
    match block.type:
        case "text":
            return block.text
        case "resource" if (text := getattr(block.resource, "text", None)) is not None:
            return text
        case "resource":
            return f"[{block.resource.uri}: {block.resource.mime_type or 'binary data'}]"
        case "resource_link":
            return f"[{block.uri}: {block.description or block.name}]"
        case other:
            return f"[{other}: {block.mime_type}, {len(block.data) * 3 // 4:,} bytes]"
