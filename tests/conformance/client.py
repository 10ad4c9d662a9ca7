"""Our host, driven by the conformance suite: `python client.py URL`, with what to do in the environment."""

import json
import os
import sys
from contextlib import AsyncExitStack
from typing import Any

import anyio
import httpx2
import keyring
from keyring.backend import KeyringBackend
from mcp.shared.auth import OAuthClientInformationFull
from pydantic import AnyUrl

from journeyman.errors import JourneymanError
from journeyman.tools.door import opened
from journeyman.tools.login import logging_in
from journeyman.tools.server import Patience, Server
from journeyman.tools.target import Url
from journeyman.tools.tool import Output
from journeyman.tools.visit import visited

SCENARIO = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
CONTEXT = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
DOCUMENT = "https://conformance-test.local/client-metadata.json"
PLAIN = {"string": "x", "integer": 1, "number": 1, "boolean": True, "object": {}, "array": []}


class Pocket(KeyringBackend):
    """A keyring for one process."""

    priority = 1
    held: dict[tuple[str, str], str] = {}

    def get_password(self, service, username):
        return self.held.get((service, username))

    def set_password(self, service, username, password):
        self.held[service, username] = password

    def delete_password(self, service, username):
        del self.held[service, username]


async def yes(tool: Any, arguments: str) -> Output:
    """A door behind which a person fills in what was left empty and agrees to everything."""
    values = json.loads(arguments)
    for name, field in values.get("form", {}).get("properties", {}).items():
        values["answer"].setdefault(name, field.get("default", PLAIN[field["type"]]))

    return Output(arguments, tool.parse(json.dumps(values)))


async def browse(url: str) -> None:
    """A person with a browser, who is logged in already."""
    async with httpx2.AsyncClient(follow_redirects=True) as browser:
        await browser.get(url)


def filled(schema: dict[str, Any]) -> dict[str, Any]:
    fields = schema.get("properties", {})
    return {name: PLAIN.get(fields.get(name, {}).get("type"), "x") for name in schema.get("required", [])}


async def use(server: Server) -> None:
    """Call what there is to call."""
    tools = {tool.name: tool for tool in await server.tools()}
    calls: list[tuple[str, Any]] = [
        (each["name"], each.get("arguments") or {}) for each in CONTEXT.get("toolCalls", [])
    ]
    if "add_numbers" in tools and not calls:
        calls = [("add_numbers", {"a": 5, "b": 3})]

    for name, arguments in calls or [(name, filled(tool.input_schema)) for name, tool in tools.items()]:
        if name in tools:
            try:
                await server.call(name, arguments, lambda *_: None)
            except JourneymanError as error:
                sys.stderr.write(f"{name}: {error}\n")

    if "preservation" in SCENARIO:
        await repeat(server, tools)


async def repeat(server: Server, tools: dict[str, Any]) -> None:
    """Give a schema back as it came."""
    name = next(each for each in tools if "echo" in each or "report" in each)
    focal = next(tool for each, tool in tools.items() if each != name)
    field = next(iter(tools[name].input_schema["properties"]))
    await server.call(name, {field: focal.input_schema}, lambda *_: None)


async def main(url: str) -> None:
    keyring.set_keyring(Pocket())
    target = Url("conformance", url)
    async with AsyncExitStack() as stack:
        auth = None
        if SCENARIO.startswith("auth/"):
            known = None
            if "client_id" in CONTEXT:
                secret = CONTEXT.get("client_secret")
                known = OAuthClientInformationFull(
                    client_id=CONTEXT["client_id"],
                    client_secret=secret,
                    redirect_uris=[AnyUrl("http://127.0.0.1:0/callback")],
                    token_endpoint_auth_method="client_secret_basic" if secret else "none",
                )

            auth = await stack.enter_async_context(logging_in(target, browse, client=known, client_url=DOCUMENT))

        stack.enter_context(opened(yes))
        server = await stack.enter_async_context(visited(target, Patience(answer=20), auth=auth))
        await use(server)


if __name__ == "__main__":
    try:
        anyio.run(main, sys.argv[1])
    except JourneymanError as error:
        sys.exit(f"{error} ({error.fix})")
