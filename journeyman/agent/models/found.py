"""The model of a run that names none: a server that answers on this machine, else the starter."""

from collections.abc import AsyncGenerator, Mapping

import anyio
from pydantic import JsonValue

from journeyman.agent.models.engine import Engine
from journeyman.agent.models.model import Capabilities, Model, Request
from journeyman.agent.models.wire import Refused, Wire
from journeyman.traces.events import ModelDelta, ModelResponded

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
    except (OSError, Refused, ValueError):
        return ""

    data = listed.get("data") if isinstance(listed, dict) else None
    names = [each.get("id") for each in data if isinstance(each, dict)] if isinstance(data, list) else []
    return next((name for name in names if isinstance(name, str) and name and "embed" not in name.lower()), "")


class FoundModel:
    """Looks for a model when it is opened, and is that model from then on."""

    def __init__(self, engine: Engine, ports: tuple[int, ...] = PORTS) -> None:
        self._engine, self._ports = engine, ports
        self._model: Model | None = None
        self._opening = anyio.Lock()

    @property
    def spec(self) -> str:
        return self._model.spec if self._model else "auto"

    @property
    def capabilities(self) -> Capabilities:
        return self._model.capabilities if self._model else Capabilities()

    async def open(self) -> Mapping[str, JsonValue]:
        """Find it and load it.

        Raises:
            ModelError: it cannot be had, with the fix.
        """
        return await (await self._found()).open()

    async def respond(self, request: Request) -> AsyncGenerator[ModelDelta | ModelResponded, None]:
        """As the model that was found."""
        responding = (await self._found()).respond(request)
        try:
            async for event in responding:
                yield event
        finally:
            await responding.aclose()

    def forget(self, run_id: str) -> None:
        if self._model:
            self._model.forget(run_id)

    async def close(self) -> None:
        if self._model:
            await self._model.close()

    async def _found(self) -> Model:
        from journeyman.agent.models.spec import make_model  # noqa: PLC0415 - it makes this class

        async with self._opening:
            if self._model is None:
                self._model = make_model(await find_spec(self._ports), self._engine)

        return self._model
