"""An engine in this process, on a socket of its own, and clients of it."""

import json
from contextlib import asynccontextmanager

import anyio
import pytest

from journeyman.engine import wire
from journeyman.engine.client import Ask, Note, Update, connect
from journeyman.engine.serve import on_socket
from journeyman.errors import Disconnected

PATIENCE_S = 60


@pytest.fixture
def anyio_backend():
    return "asyncio"  # the ACP SDK knows no other


class Seat:
    """A client, and everything it has heard."""

    def __init__(self, client):
        self.client = client
        self.heard = []

    async def until(self, fits):
        """The first thing heard that fits, waiting for it if need be."""
        for each in self.heard:
            if fits(each):
                return each

        with anyio.fail_after(PATIENCE_S):
            while True:
                message = await self.client.messages.receive()
                self.heard.append(message)
                if fits(message):
                    return message

    async def asked(self):
        """The next question that it was not asked before."""
        before = {id(each) for each in self.heard}
        return await self.until(lambda each: isinstance(each, Ask) and id(each) not in before)

    async def note(self, method, **params):
        return await self.until(
            lambda each: isinstance(each, Note) and each.method == method and params.items() <= each.params.items()
        )

    async def ended(self):
        return await self.note(wire.TURN, running=False)

    async def gone(self, session):
        """Say something in an engine that will not live to answer."""
        with pytest.raises(Disconnected):
            await self.client.prompt(session, "Write it")

    def drain(self):
        while self.client.messages.statistics().current_buffer_used:
            self.heard.append(self.client.messages.receive_nowait())

    def updates(self, kind=None):
        self.drain()
        found = [each.update for each in self.heard if isinstance(each, Update)]
        return [each for each in found if kind in {None, each["sessionUpdate"]}]

    def said(self, kind="agent_message_chunk"):
        return "".join(each["content"]["text"] for each in self.updates(kind))


class Place:
    """A folder to work in, and the engine's socket."""

    def __init__(self, tmp_path, monkeypatch):
        self.folder = tmp_path / "project"
        self.folder.mkdir()
        self.home = tmp_path / "home"
        self.socket = tmp_path / "engine.sock"
        monkeypatch.setenv("JOURNEYMAN_HOME", str(self.home))
        self._scripts = 0

    def script(self, *items):
        self._scripts += 1
        path = self.folder.parent / f"script{self._scripts}.json"
        path.write_text(json.dumps(items), "utf-8")
        return {"model": f"scripted:{path}"}

    @asynccontextmanager
    async def engine(self):
        """Leaving it kills the engine in the middle of whatever it does."""
        async with anyio.create_task_group() as group:
            await group.start(on_socket, self.socket)
            yield group
            group.cancel_scope.cancel()

    @asynccontextmanager
    async def seat(self):
        async with connect(self.socket, start=False) as client:
            yield Seat(client)


@pytest.fixture
def place(tmp_path, monkeypatch):
    return Place(tmp_path, monkeypatch)
