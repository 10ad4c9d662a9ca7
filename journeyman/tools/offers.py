"""What a server has besides tools, made into tools: its resources can be read, its prompts used.

A model gets one tool for each kind, whose description names what there is; an interface lets a person choose the same
(`Catalog.mentions`, `Catalog.mention`).
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from journeyman.errors import ToolError
from journeyman.safe import safe
from journeyman.tools.result import capped
from journeyman.tools.schema import Schema
from journeyman.tools.server import Server
from journeyman.tools.tool import Output, Report
from journeyman.traces.messages import ToolSpec

if TYPE_CHECKING:
    from mcp import Client

MOST = 50
"""Of each kind."""
NAMED = 900
"""Characters of a description that name them."""
READ, USE = "read_resource", "use_prompt"
Offers = Mapping[str, Sequence[Mapping[str, Any]]]


async def offers(client: "Client") -> dict[str, JsonValue]:
    """What there is, by kind: `resources`, `templates` and `prompts`, each with `name` and `about`."""
    from mcp import MCPError  # noqa: PLC0415 - half a second

    can = client.server_capabilities
    kinds = {"resources": can.resources, "templates": can.resources, "prompts": can.prompts}
    found: dict[str, JsonValue] = {}
    for kind in (kind for kind, able in kinds.items() if able is not None):
        with suppress(MCPError):  # some declare what they do not have
            found[kind] = await _listed(client, kind)

    return {kind: each for kind, each in found.items() if each}


async def _listed(client: "Client", kind: str) -> list[JsonValue]:
    if kind == "resources":
        resources = (await client.list_resources()).resources[:MOST]
        return [{"name": str(each.uri), "about": each.title or each.name} for each in resources]

    if kind == "templates":
        templates = (await client.list_resource_templates()).resource_templates[:MOST]
        return [{"name": each.uri_template, "about": each.title or each.name} for each in templates]

    prompts = (await client.list_prompts()).prompts[:MOST]
    return [
        {"name": each.name, "about": each.description or "", "takes": [one.name for one in each.arguments or ()]}
        for each in prompts
    ]


class Offered:
    """One of both tools. The model-visible name is given later, as for other tools of servers."""

    def __init__(self, server: Server, spec: ToolSpec) -> None:
        self.spec = spec
        self._server = server
        self._schema = Schema(spec)

    def parse(self, arguments: str) -> dict[str, JsonValue]:
        return self._schema.parse(arguments)

    async def call(self, arguments: dict[str, JsonValue], report: Report) -> Output:  # noqa: ARG002 - it is quick
        self._schema.check(arguments)
        if self.spec.tool == READ:
            return await read(self._server, str(arguments["uri"]))

        given = arguments.get("arguments")
        return await use(self._server, str(arguments["name"]), given if isinstance(given, dict) else {})


def specs(server: Server, taken: Sequence[str]) -> list[ToolSpec]:
    """The tools for what a server offers, where none of its own has that name."""
    found: Offers = server.offers
    made = []
    if (there := [*found.get("resources", ()), *found.get("templates", ())]) and READ not in taken:
        made.append(_spec(server, READ, f"Read a resource of {server.name}", there, {"uri": {"type": "string"}}))

    if (there := found.get("prompts", ())) and USE not in taken:
        names = [str(each["name"]) for each in there]
        fields = {"name": {"type": "string", "enum": names}, "arguments": {"type": "object"}}
        made.append(_spec(server, USE, f"Get an instruction that {server.name} has ready", there, fields))

    return made


def _spec(server: Server, tool: str, what: str, there: Sequence[Mapping[str, Any]], fields: dict[str, Any]) -> ToolSpec:
    about = f"{what}: {', '.join(_named(each) for each in there)[:NAMED]}"
    parameters = {"type": "object", "properties": fields, "required": [next(iter(fields))]}
    return ToolSpec(name="unnamed", server=server.name, tool=tool, description=about, parameters=parameters)


def _named(each: Mapping[str, Any]) -> str:
    takes = f"({', '.join(map(str, each['takes']))})" if each.get("takes") else ""
    about = f" - {safe(str(each['about']), 80)}" if each.get("about") else ""
    return f"{safe(str(each['name']), 200)}{takes}{about}"


async def read(server: Server, uri: str) -> Output:
    """A resource as text.

    Raises:
        ToolError, ServerError: as for a call.
    """
    result = await server.ask(f"reading {safe(uri, 100)}", lambda there: there.read_resource(uri))
    texts = [getattr(each, "text", None) or f"[{each.mime_type or 'binary data'}]" for each in result.contents]
    return Output(capped("\n".join(texts)))


async def use(server: Server, name: str, arguments: Mapping[str, Any]) -> Output:
    """A prompt as text, each message with who is to say it.

    Raises:
        ToolError, ServerError: as for a call.
    """
    given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in arguments.items()}
    result = await server.ask(f"using {safe(name, 100)}", lambda there: there.get_prompt(name, given))
    if not result.messages:
        raise ToolError("the prompt is empty")

    said = [f"{each.role}: {getattr(each.content, 'text', f'[{each.content.type}]')}" for each in result.messages]
    return Output(capped("\n".join(said)))
