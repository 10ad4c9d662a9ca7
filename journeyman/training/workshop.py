"""The built-in tools over one folder, called directly: for playing oracles, without model, policy or trace."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import JsonValue

from journeyman.agent.plan import SPEC as PLAN
from journeyman.mcp_servers.registry import SERVERS, tools
from journeyman.traces.messages import ToolSpec

if TYPE_CHECKING:
    from journeyman.mcp_servers.toolset import Toolset


class Workshop:
    """Servers are made when they are first called; a new workshop has a new Python session and a new search index.

    async with Workshop(root) as workshop: ...
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._servers: dict[str, Toolset] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def call(self, alias: str, arguments: dict[str, JsonValue]) -> tuple[str, bool]:
        """What the tool says, and whether that is an error."""
        server, _, tool = alias.partition("__")
        result = await (await self._server(server)).call(tool, arguments)
        texts = [part["text"] for part in result["content"] if part["type"] == "text"]
        return "\n".join(texts), result["isError"]

    async def _server(self, name: str) -> "Toolset":
        if name not in self._servers:
            server = self._servers[name] = tools(name, self._root)
            if server.lifespan is not None:
                await self._stack.enter_async_context(server.lifespan(server))

        return self._servers[name]


async def builtin_specs(root: Path) -> Sequence[ToolSpec]:
    """The tools that the agent offers by default, in the order it offers them."""
    specs = [
        ToolSpec(
            name=f"{name}__{tool}",
            server=name,
            tool=tool,
            description=offered.definition["description"],
            parameters=offered.definition["inputSchema"],
        )
        for name in SERVERS
        for tool, offered in tools(name, root).tools.items()
    ]
    return [*sorted(specs, key=lambda spec: spec.name), PLAN]
