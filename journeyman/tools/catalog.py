"""Everything a model may call in a run, under one roof.

    async with Catalog([add, Builtin("files", root), target("uvx mcp-server-time")]) as catalog:
        catalog.specs; catalog.find("files__read")

Servers are started side by side. One that fails, or a tool that cannot be used, is left out and told in `problems`; the
others work. The order of tools is the same each time: servers' tools by name, then functions as they were given.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Self, TypeGuard

import anyio
from anyio.abc import TaskGroup

from journeyman.errors import JourneymanError, ServerError, UsageError
from journeyman.mcp_servers.registry import BASIC, SERVERS
from journeyman.safe import safe
from journeyman.tools.alias import named
from journeyman.tools.choose import ranked
from journeyman.tools.client import Patience
from journeyman.tools.offers import Offered, read
from journeyman.tools.pins import Pins
from journeyman.tools.remote import RemoteTool, offered
from journeyman.tools.server import Server
from journeyman.tools.target import Builtin, Command, Target, Url
from journeyman.tools.tool import Output, Tool
from journeyman.traces.messages import ToolSpec

LEAVING_S = 6.0
"""For servers to end by themselves; what is left then is killed."""
LISTED = 20
"""Names that a model which named no tool is told."""
OWN = "update_plan"
"""The agent's own tool; no other may have its name."""


class Toolbox:
    """Tools by the names that a model is offered, in a fixed order."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: Mapping[str, Tool] = {tool.spec.name: tool for tool in tools}
        self.specs: Sequence[ToolSpec] = tuple(tool.spec for tool in self._tools.values())

    def find(self, name: str) -> Tool | None:
        return self._tools.get(name)

    def suggest(self, name: str) -> str:
        """A sentence for a model that named no tool."""
        told = f"there is no tool {safe(name, 80)!r}"
        if near := self._nearest(name):
            return f"{told}; did you mean {near}?"

        names = list(self._tools)
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        return (
            f"{told}; there are: {', '.join(names[:LISTED])}{more}" if names else f"{told}, nor any other; just answer"
        )

    def _nearest(self, name: str) -> str | None:
        """`calculate` and `calculator.calculate` mean `calculator__calculate`, and so do near misses."""
        bare = name.replace(".", "__")
        same = [spec.name for spec in self.specs if bare in {spec.name, spec.tool}]
        return (same or get_close_matches(bare, self._tools, n=1) or [None])[0]

    def choose(self, prompt: str, k: int) -> "Toolbox":
        """The at most `k` tools that have most to do with the prompt, in the same order; for small models.

        Of our own servers only the basic ones are among them.
        """
        known = [spec for spec in self.specs if spec.server not in SERVERS or spec.identity in BASIC]
        keep = {spec.name for spec in known} if len(known) <= k else set(ranked(prompt, known)[:k])
        return Toolbox(tool for name, tool in self._tools.items() if name in keep)


class Catalog(Toolbox):
    """A toolbox over functions and servers, which live as long as it is open. Enter and leave it in one task.

    Args:
        sources: functions and other tools; targets of servers.
        patience: how long to wait for servers.
        pins: what servers' tools must look like; they are pinned when they are first seen.

    Raises:
        UsageError: two sources have the same name.
    """

    def __init__(
        self, sources: Iterable[Tool | Target] = (), *, patience: Patience | None = None, pins: Pins | None = None
    ) -> None:
        sources = tuple(sources)
        self._targets = [each for each in sources if isinstance(each, Builtin | Command | Url)]
        self.sandbox = next((each.sandbox for each in self._targets if _runs_code(each)), None)
        """Where the code server's code runs, as it was asked for; None where there is no such server."""
        self._native = [each for each in sources if not isinstance(each, Builtin | Command | Url)]
        self._patience = patience or Patience()
        self._pins = pins
        self._servers: list[Server] = []
        self._group: TaskGroup | None = None
        self.problems: list[ServerError] = []
        """Servers and tools that were left out; worth a line each on stderr."""
        _refuse_twins([target.name for target in self._targets], "servers")
        _refuse_twins([tool.spec.name for tool in self._native], "functions")
        super().__init__(self._native)

    def built_in(self, root: Path) -> list[Builtin]:
        """Our own servers of it, over another folder."""
        return [replace(each, root=root) for each in self._targets if isinstance(each, Builtin)]

    @property
    def servers(self) -> Sequence[Server]:
        """As they are now."""
        return self._servers

    @property
    def variables(self) -> list[tuple[str, str]]:
        """What servers are given in their environment, or as headers: some of it is secret."""
        found: list[tuple[str, str]] = []
        for target in self._targets:
            if isinstance(target, Command):
                found += target.env.items()
            elif isinstance(target, Url):
                found += [(f"{header} TOKEN", text.rpartition(" ")[2]) for header, text in target.headers.items()]

        return found

    async def __aenter__(self) -> Self:
        if not self._targets:
            return self

        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._servers = [Server(target, self._group, self._patience, self._pins) for target in self._targets]
        try:
            await self._gather()
        except BaseException:
            await self._leave(self._group)
            raise

        return self

    async def __aexit__(self, *error: object) -> None:
        if self._group is not None:
            await self._leave(self._group)

    async def _gather(self) -> None:
        found: dict[str, list[ToolSpec]] = {}

        async def ask(server: Server) -> None:
            try:
                found[server.name] = await offered(server)
            except ServerError as error:
                self.problems.append(error)
            except JourneymanError as error:  # one of ours, whose folder is none
                self.problems.append(ServerError(f"server {server.name!r}: {error}", fix=error.fix))

        async with anyio.create_task_group() as asking:
            for server in self._servers:
                asking.start_soon(ask, server)

        for server in self._servers:
            self.problems += [ServerError(f"MCP server {server.name!r}: {safe(notice)}") for notice in server.notices]

        servers = {server.name: server for server in self._servers}
        specs = named(
            [spec for name in sorted(found) for spec in found[name]], [tool.spec.name for tool in self._native]
        )
        remote = [_tool(servers[spec.server], spec) for spec in sorted(specs, key=lambda each: each.name)]
        Toolbox.__init__(self, [*remote, *self._native])

    @property
    def mentions(self) -> list[tuple[str, str]]:
        """What a person can point to, as `SERVER:URI` with a title."""
        return [
            (f"{server.name}:{each['name']}", str(each["about"]))
            for server in self._servers
            for each in server.offers.get("resources", ())
        ]

    async def mention(self, name: str) -> Output:
        """The text of what a person points to.

        Raises:
            UsageError: there is no such server.
            ToolError, ServerError: it cannot be read.
        """
        owner, _, uri = name.partition(":")
        server = next((each for each in self._servers if each.name == owner), None)
        if server is None:
            known = ", ".join(each.name for each in self._servers)
            raise UsageError(f"There is no server {safe(owner)!r}.", fix=f"Take one of: {known}")

        return await read(server, uri)

    async def _leave(self, group: TaskGroup) -> None:
        """Owners end by themselves, then by force; an error under way is not wrapped on its way out."""
        for server in self._servers:
            server.close()

        self._group = None
        group.cancel_scope.deadline = anyio.current_time() + LEAVING_S
        await group.__aexit__(None, None, None)


def _tool(server: Server, spec: ToolSpec) -> Tool:
    own = spec.tool in server.definitions or isinstance(server.target, Builtin)
    return RemoteTool(server, spec) if own else Offered(server, spec)


def _refuse_twins(names: Sequence[str], what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two {what} are called {name!r}", fix="give one of them another name")

        if name == OWN:
            raise UsageError(f"{OWN!r} is the agent's own tool", fix="give yours another name")


def _runs_code(target: Target) -> TypeGuard[Builtin]:
    return isinstance(target, Builtin) and target.name == "code"
