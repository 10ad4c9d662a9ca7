"""Models on this machine: what servers on the loopback offer, and files. Nothing else is asked, nothing is started."""

import os
from pathlib import Path

import anyio

from journeyman.agent.models.kept import in_use
from journeyman.agent.models.wire import Refused, Wire
from journeyman.home import data_dir

SERVERS = {11434: "Ollama", 1234: "LM Studio", 8080: "llama-server", 8000: "vLLM"}
"""Who listens where by default; the first that answers wins in this order."""
PATIENCE = 0.15
KEYS = {"OPENAI_API_KEY": "openai:NAME", "ANTHROPIC_API_KEY": "anthropic:NAME"}
"""Variables with a provider's key, and how that provider is asked for."""


def unused_keys() -> list[str]:
    """What to say of keys in the environment where no model was named: that they are there, and how to use them."""
    return [
        f"{variable} is set and not used; --model {spec} uses it"
        for variable, spec in KEYS.items()
        if variable in os.environ
    ]


STARTER = "local:starter"


async def find_spec(ports: tuple[int, ...] = tuple(SERVERS)) -> str:
    """The spec of a chat model on this machine: the one in use, a running server's first, else `local:starter`."""
    if chosen := in_use():
        return chosen

    found = await find_servers(ports)
    return next((specs[0] for port in ports if (specs := found.get(port))), STARTER)


async def find_servers(ports: tuple[int, ...] = tuple(SERVERS)) -> dict[int, list[str]]:
    """Specs of the chat models that the servers on these ports list, by port."""
    found: dict[int, list[str]] = {}

    async def probe(port: int) -> None:
        if names := await _models(port):
            found[port] = [f"http://127.0.0.1:{port}/v1#{name}" for name in names]

    with anyio.move_on_after(PATIENCE):
        async with anyio.create_task_group() as group:
            for port in ports:
                group.start_soon(probe, port)

    return {port: found[port] for port in ports if port in found}


async def _models(port: int) -> list[str]:
    """The chat models that a server lists; none where something else answers, or nothing."""
    try:
        listed = await Wire(f"http://127.0.0.1:{port}", "none").get("/v1/models")
    except (OSError, Refused):
        return []

    data = listed.get("data") if isinstance(listed, dict) else None
    names = [each.get("id") for each in data if isinstance(each, dict)] if isinstance(data, list) else []
    return [name for name in names if isinstance(name, str) and name and "embed" not in name.lower()]


def find_files() -> list[Path]:
    """Model files that were pulled, or made here; none that is still on its way."""
    found: list[Path] = []
    for folder, inner, names in os.walk(data_dir() / "models"):  # which passes over folders that are gone again
        inner[:] = [name for name in inner if not name.startswith(".")]
        found += (Path(folder, name) for name in names if name.endswith(".gguf"))

    return sorted(found)
