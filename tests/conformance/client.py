# ruff: noqa: T201 - it prints when it is ready
"""Our host, driven by the conformance suite, which starts a command for each scenario.

python client.py SOCKET        waits there for scenarios, and does each in a fork of its own: imports take a second
python front.py SOCKET URL     what the suite starts: hands the scenario over
"""

import json
import os
import signal
import socket
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
from journeyman.tools.client import Patience
from journeyman.tools.door import opened
from journeyman.tools.login import logging_in
from journeyman.tools.server import Server
from journeyman.tools.target import Url
from journeyman.tools.tool import Output
from journeyman.tools.visit import visited

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


async def use(server: Server, scenario: str, asked: list[Any]) -> None:
    """Call what there is to call."""
    tools = {tool.name: tool for tool in await server.tools()}
    calls: list[tuple[str, Any]] = [(each["name"], each.get("arguments") or {}) for each in asked]
    if "add_numbers" in tools and not calls:
        calls = [("add_numbers", {"a": 5, "b": 3})]

    for name, arguments in calls or [(name, filled(tool.input_schema)) for name, tool in tools.items()]:
        if name in tools:
            try:
                await server.call(name, arguments, lambda *_: None)
            except JourneymanError as error:
                sys.stderr.write(f"{name}: {error}\n")

    if "preservation" in scenario:
        await repeat(server, tools)


async def repeat(server: Server, tools: dict[str, Any]) -> None:
    """Give a schema back as it came."""
    name = next(each for each in tools if "echo" in each or "report" in each)
    focal = next(tool for each, tool in tools.items() if each != name)
    field = next(iter(tools[name].input_schema["properties"]))
    await server.call(name, {field: focal.input_schema}, lambda *_: None)


async def main(url: str, scenario: str, context: dict[str, Any]) -> None:
    keyring.set_keyring(Pocket())
    target = Url("conformance", url)
    async with AsyncExitStack() as stack:
        auth = None
        if scenario.startswith("auth/"):
            known = None
            if "client_id" in context:
                secret = context.get("client_secret")
                known = OAuthClientInformationFull(
                    client_id=context["client_id"],
                    client_secret=secret,
                    redirect_uris=[AnyUrl("http://127.0.0.1:0/callback")],
                    token_endpoint_auth_method="client_secret_basic" if secret else "none",
                )

            auth = await stack.enter_async_context(logging_in(target, browse, client=known, client_url=DOCUMENT))

        stack.enter_context(opened(yes))
        server = await stack.enter_async_context(visited(target, Patience(answer=100, start=100), auth=auth))
        await use(server, scenario, context.get("toolCalls", []))


def handed_over(there: socket.socket) -> int:
    url, name, context = json.loads(there.makefile().readline())
    try:
        anyio.run(main, url, name, json.loads(context or "{}"))
    except JourneymanError as error:
        sys.stderr.write(f"{name}: {error} ({error.fix})\n")
        return 1

    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen(100)
        print("ready", flush=True)
        while True:
            there, _ = listener.accept()
            if os.fork() == 0:
                there.send(str(handed_over(there)).encode())
                os._exit(0)

            there.close()
