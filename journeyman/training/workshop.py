"""The built-in tools over one folder, called directly: for playing oracles, without model, policy or trace."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import JsonValue

from journeyman.agent.plan import SPEC as PLAN
from journeyman.mcp_servers.registry import SERVERS, build
from journeyman.traces.messages import ToolSpec

if TYPE_CHECKING:
    from journeyman.mcp_servers.base import ToolServer


class Workshop:
    """Servers are made when they are first called; a new workshop has a new Python session and a new search index.

    async with Workshop(root) as workshop: ...
    """

    def __init__(self, root: Path, build: Callable[[str, Path], "ToolServer"] = build) -> None:
        self._root, self._build = root, build
        self._servers: dict[str, ToolServer] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def call(self, alias: str, arguments: dict[str, JsonValue]) -> tuple[str, bool]:
        """What the tool says, and whether that is an error."""
        server, _, tool = alias.partition("__")
        result = await (await self._server(server)).call_tool(tool, arguments)
        texts = [part.text for part in getattr(result, "content", ()) if part.type == "text"]
        return "\n".join(texts), bool(getattr(result, "is_error", False))

    async def _server(self, name: str) -> "ToolServer":
        if name not in self._servers:
            server = self._servers[name] = self._build(name, self._root)
            if server.lifespan is not None:
                await self._stack.enter_async_context(server.lifespan(server))

        return self._servers[name]


async def builtin_specs(root: Path) -> Sequence[ToolSpec]:
    """The tools that the agent offers by default, in the order it offers them."""
    specs = [
        ToolSpec(
            name=f"{name}__{tool.name}",
            server=name,
            tool=tool.name,
            description=tool.description or "",
            parameters=dict(tool.input_schema),
        )
        for name in SERVERS
        for tool in await build(name, root).list_tools()
    ]
    return [*sorted(specs, key=lambda spec: spec.name), PLAN]
