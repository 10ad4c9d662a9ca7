"""The model of a run that names none: a server that answers on this machine, else the starter."""

import anyio

from journeyman.agent.models.wire import Refused, Wire

PORTS = (11434, 1234, 8080, 8000)
"""Where Ollama, LM Studio, llama-server and vLLM listen, the first that answers wins in this order."""
PATIENCE = 0.15


async def find_spec(ports: tuple[int, ...] = PORTS) -> str:
    """The spec of a chat model on this machine: a running server's first, else `local:starter`."""
    found: dict[int, str] = {}

    async def probe(port: int) -> None:
        name = await _first_model(port)
        if name:
            found[port] = f"http://127.0.0.1:{port}/v1#{name}"

    with anyio.move_on_after(PATIENCE):
        async with anyio.create_task_group() as group:
            for port in ports:
                group.start_soon(probe, port)

    return next((found[port] for port in ports if port in found), "local:starter")


async def _first_model(port: int) -> str:
    """The first chat model that a server lists; none where something else answers, or nothing."""
    try:
        listed = await Wire(f"http://127.0.0.1:{port}", "none").get("/v1/models")
    except (OSError, Refused):
        return ""

    data = listed.get("data") if isinstance(listed, dict) else None
    names = [each.get("id") for each in data if isinstance(each, dict)] if isinstance(data, list) else []
    return next((name for name in names if isinstance(name, str) and name and "embed" not in name.lower()), "")
