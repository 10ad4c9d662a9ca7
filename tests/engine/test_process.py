import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from journeyman.engine import reach
from journeyman.engine.client import connect
from journeyman.engine.place import short, socket_path
from journeyman.engine.serve import _alone
from journeyman.errors import Disconnected
from tests.engine.conftest import Seat

WRITE = {"tool": "files__write", "arguments": {"path": "out.txt", "content": "hello\n"}}


def pid(client):
    return client.agent["agentInfo"]["_meta"]["journeyman"]["pid"]


async def test_a_killed_engine_leaves_a_run_to_go_on_with_in_the_next_one(place):
    model = place.script(WRITE, "As you wish.")
    async with connect() as client, connect() as other, anyio.create_task_group() as group:
        assert pid(client) == pid(other)  # both may have tried to start one
        first, seat = pid(client), Seat(client)
        session = (await client.new(place.folder, model))["sessionId"]
        group.start_soon(seat.gone, session)
        await seat.asked()
        os.kill(first, signal.SIGKILL)

    async with connect() as client:
        assert pid(client) != first
        seat = Seat(client)
        await client.load(session, place.folder)
        assert seat.said("user_message_chunk") == "Write it"
        await client.prompt(session, "Never mind")
        assert seat.said() == "As you wish."
        assert not (place.folder / "out.txt").exists()
        folder = place.home / "state" / "engine"
        assert [oct(each.stat().st_mode)[-3:] for each in (folder, next(folder.glob("*.sock")))] == ["700", "600"]
        await client.stop()


async def test_a_client_that_may_not_start_an_engine_says_what_to_do(place):
    with pytest.raises(Disconnected) as failed:
        async with connect(start=False):
            pass

    assert failed.value.fix == "journeyman serve"


def test_a_socket_in_a_deep_folder_has_a_short_address(tmp_path):
    deep = Path(tmp_path, *["a" * 50] * 4)
    deep.mkdir(parents=True)
    (deep / "file").write_text("here")
    with short(deep / "file") as address:
        assert len(address) < 100
        assert Path(address).read_text() == "here"


def test_a_client_is_light():
    asked = [sys.executable, "-X", "importtime", "-c", "import journeyman.engine.client"]
    done = subprocess.run(asked, capture_output=True, encoding="utf-8", timeout=50, check=True)
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "anyio" in names
    assert names & {"acp", "mcp", "pydantic", "sqlalchemy", "textual", "click", "httpx2"} == set()


async def test_who_comes_while_an_engine_ends_gets_the_next_one(place):
    async with connect() as client:
        first = pid(client)
        await client.new(place.folder, place.script("Hello."))
        os.kill(first, signal.SIGTERM)
        with anyio.fail_after(90):
            async for _ in client.messages:
                pass

            while True:
                async with connect() as other:
                    if pid(other) != first:
                        await other.stop()
                        return

                    async for _ in other.messages:  # it took us in, and let us go
                        pass


async def test_an_engine_that_no_longer_listens_and_is_not_gone_yet_is_waited_for(place):
    before = len(reach.started)
    async with anyio.create_task_group() as group:
        with _alone(socket_path()), anyio.fail_after(90):
            group.start_soon(_stop)
            while not any(each.poll() == 0 for each in reach.started[before:]):  # noqa: ASYNC110 - a process
                await anyio.sleep(0.02)


async def _stop():
    with anyio.fail_after(90):
        async with connect() as client:
            await client.stop()
