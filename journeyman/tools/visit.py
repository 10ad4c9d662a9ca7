"""A server on its own, outside of any run: started, looked at and left."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from journeyman.errors import JourneymanError
from journeyman.tools.client import Patience
from journeyman.tools.pins import Offers
from journeyman.tools.server import Server
from journeyman.tools.target import Target


@asynccontextmanager
async def visited(target: Target, patience: Patience | None = None, auth: Any = None) -> AsyncGenerator[Server]:
    """The server, listed once: `definitions` and `notices` are what it offers now, whatever was pinned.

    Raises:
        ServerError: it cannot be started or asked.
    """
    failed: JourneymanError | None = None
    async with anyio.create_task_group() as group:
        server = Server(target, group, patience or Patience(), auth=auth)
        try:
            await server.tools()
            yield server
        except JourneymanError as error:  # a group would wrap it
            failed = error
        finally:
            server.close()

    if failed is not None:
        raise failed


async def definitions(target: Target) -> dict[str, str]:
    """What a server's tools look like now.

    Raises:
        ServerError: it cannot be asked.
    """
    return (await inventory(target))[0]


async def inventory(target: Target) -> tuple[dict[str, str], Offers]:
    """The same, and what it offers besides. Raises ServerError."""
    async with visited(target) as server:
        return server.definitions, server.offers
