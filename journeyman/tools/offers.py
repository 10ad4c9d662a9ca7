"""What a server has besides tools, made into tools: its resources can be read, its prompts used.

A model gets one tool for each kind, whose description names what there is; an interface lets a person choose the same
(`Catalog.mentions`, `Catalog.mention`). It is pinned like tools, and what is new or has changed cannot be used before a
person has accepted it. Still nothing of a server's prose reaches the model unasked: addresses and names alone, and of
these only plain, short ones. A resource that was read is watched: that it changed is told with the next result.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from journeyman.errors import ToolError
from journeyman.safe import safe
from journeyman.tools.pins import Offers
from journeyman.tools.result import capped
from journeyman.tools.schema import Schema
from journeyman.tools.server import Server
from journeyman.tools.tool import Output, Report
from journeyman.traces.messages import ToolSpec

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import GetPromptResult, ReadResourceResult
    from pydantic import BaseModel

MOST = 50
"""Of each kind."""
NAMED = 900
"""Characters of a description that name them."""
TAKEN = 8
"""Arguments of a prompt that are named."""
ADDRESS = re.compile(r"[\w.~:/?#@!$&'()*+,;=%{}-]{1,100}", re.ASCII)
NAME = re.compile(r"[\w./:-]{1,64}", re.ASCII)
"""What a model is told as it is; there is no room for a sentence."""
READ, USE = "read_resource", "use_prompt"


async def offers(client: "Client") -> Offers:
    """What there is, by kind: `resources`, `templates` and `prompts`, each with its `name`."""
    from mcp import MCPError  # noqa: PLC0415 - half a second

    can = client.server_capabilities
    kinds = {"resources": can.resources, "templates": can.resources, "prompts": can.prompts}
    found: dict[str, list[dict[str, Any]]] = {}
    for kind in (kind for kind, able in kinds.items() if able is not None):
        with suppress(MCPError):  # some declare what they do not have
            found[kind] = await _listed(client, kind)

    return {kind: each for kind, each in found.items() if each}


async def _listed(client: "Client", kind: str) -> list[dict[str, Any]]:
    if kind == "resources":
        resources = (await client.list_resources()).resources[:MOST]
        return [_whole(each, name=str(each.uri), about=each.title or each.name) for each in resources]

    if kind == "templates":
        templates = (await client.list_resource_templates()).resource_templates[:MOST]
        return [_whole(each, name=each.uri_template) for each in templates]

    prompts = (await client.list_prompts()).prompts[:MOST]
    return [_whole(each, name=each.name, takes=[one.name for one in each.arguments or ()]) for each in prompts]


def _whole(each: "BaseModel", **told: JsonValue) -> dict[str, Any]:
    return {**told, "definition": each.model_dump(mode="json", by_alias=True, exclude_none=True)}


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
            return self._server.with_news(await read(self._server, str(arguments["uri"])))

        given = arguments.get("arguments")
        done = await use(self._server, str(arguments["name"]), given if isinstance(given, dict) else {})
        return self._server.with_news(done)


def specs(server: Server, taken: Sequence[str]) -> list[ToolSpec]:
    """The tools for what a server offers, where none of its own has that name."""
    found: Offers = server.offers
    made = []
    if (there := [*found.get("resources", ()), *found.get("templates", ())]) and READ not in taken:
        plain = [name for each in there if ADDRESS.fullmatch(name := str(each["name"]))]
        made.append(_spec(server, READ, f"Read a resource of {server.name}", plain, {"uri": {"type": "string"}}))

    if (there := _prompts(server, found.get("prompts", ()))) and USE not in taken:
        fields = {"name": {"type": "string", "enum": list(there)}, "arguments": {"type": "object"}}
        made.append(_spec(server, USE, f"Get an instruction that {server.name} has ready", there.values(), fields))

    return made


def _prompts(server: Server, found: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """As they are told, by name; one that cannot be named is a notice of the server."""
    told: dict[str, str] = {}
    for each in found:
        if not NAME.fullmatch(name := str(each["name"])):
            server.notice(f"the prompt {name!r} is left out: its name is not short and plain")
            continue

        takes = [word for one in each.get("takes", ()) if NAME.fullmatch(word := str(one))][:TAKEN]
        told[name] = f"{name}({', '.join(takes)})" if takes else name

    return told


def _spec(server: Server, tool: str, what: str, named: Iterable[str], fields: dict[str, Any]) -> ToolSpec:
    about = f"{what}: {', '.join(named)[:NAMED]}".removesuffix(": ")
    parameters = {"type": "object", "properties": fields, "required": [next(iter(fields))]}
    return ToolSpec(name="unnamed", server=server.name, tool=tool, description=about, parameters=parameters)


async def read(server: Server, uri: str) -> Output:
    """A resource as text.

    Raises:
        ToolError, ServerError: as for a call.
    """

    async def ask(there: "Client") -> "ReadResourceResult":
        server.refuse_odd("resource", uri)
        await server.watch(uri)
        return await there.read_resource(uri)

    result = await server.ask(f"reading {safe(uri, 100)}", ask)
    texts = [getattr(each, "text", None) or f"[{each.mime_type or 'binary data'}]" for each in result.contents]
    return Output(capped("\n".join(texts)))


async def use(server: Server, name: str, arguments: Mapping[str, Any]) -> Output:
    """A prompt as text, each message with who is to say it.

    Raises:
        ToolError, ServerError: as for a call.
    """
    given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in arguments.items()}

    async def ask(there: "Client") -> "GetPromptResult":
        server.refuse_odd("prompt", name)
        return await there.get_prompt(name, given)

    result = await server.ask(f"using {safe(name, 100)}", ask)
    if not result.messages:
        raise ToolError("the prompt is empty")

    said = [f"{each.role}: {getattr(each.content, 'text', f'[{each.content.type}]')}" for each in result.messages]
    return Output(capped("\n".join(said)))
