"""journeyman as an MCP server: a task given, asked about, stopped, and taken up again after a restart."""

from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import ElicitResult, TextContent

from journeyman.agent.models.scripted import ScriptedModel
from journeyman.agent.order import Order
from journeyman.agent.runtime import Runtime
from journeyman.agent.served import Served
from journeyman.errors import ToolError
from journeyman.policies.policy import Policy
from journeyman.tools.catalog import Catalog
from journeyman.tools.function import tool
from journeyman.tools.tasks import Handles, handle, look, stop
from journeyman.traces.store import Store
from tests.agent.crew import add, call


@pytest.fixture
def anyio_backend():
    return "asyncio"


@tool
async def wait() -> str:
    """Wait for ever."""
    await anyio.sleep_forever()
    return "never"


@asynccontextmanager
async def served(place, script: list[Any], answer: dict[str, Any] | None = None):
    """A client of a server whose runs are stored in a folder."""

    async def ask(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content=answer)

    asked: list[str] = []
    store = Store.open(place / "runs.db")
    policy = Policy.preset("ask").allow("wait")
    runtime = Runtime(ScriptedModel(script), Catalog([add, wait]), policy.ask("add"), store)
    there = Served(runtime, Order(prompt="", plan=False), place / "stopped")
    async with Client(there.server, extensions=[Handles()], elicitation_callback=ask) as client:
        yield client, asked

    store.close()


async def result(client: Client, task: str) -> str:
    answered: set[str] = set()
    with anyio.fail_after(50):
        while True:
            found, _, seconds = await look(client, task, answered)
            if found is not None:
                (content,) = found.content
                assert isinstance(content, TextContent)
                return content.text

            await anyio.sleep(min(seconds, 0.05))


async def begin(client: Client) -> str:
    task = handle(await client.call_tool("run_agent", {"task": "What is 2 + 3?"}))
    assert task is not None
    return task


async def test_a_task_is_a_run_that_asks_the_person_at_the_client_and_can_be_read(tmp_path):
    async with served(tmp_path, [call("add", a=2, b=3), "It is 5."], {"approve": True}) as (client, asked):
        task = await begin(client)
        assert await result(client, task) == "It is 5."
        assert asked[0].startswith("May it call python.add (a: 2, b: 3)?")
        (runs,) = (await client.read_resource("trace://runs")).contents
        (run,) = (await client.read_resource(f"trace://run/{task}")).contents
        assert f"{task} answered: What is 2 + 3?" in runs.text
        assert "call python.add" in run.text


async def test_what_the_person_refuses_is_not_done(tmp_path):
    async with served(tmp_path, [call("add", a=2, b=3), "No."], {"approve": False, "reason": "why?"}) as (client, _):
        task = await begin(client)
        assert await result(client, task) == "No."
        (run,) = (await client.read_resource(f"trace://run/{task}")).contents
        assert "denied: why?" in run.text


async def test_a_task_that_a_restart_interrupts_goes_on_when_it_is_asked_for(tmp_path):
    async with served(tmp_path, [call("wait")]) as (client, _):
        task = await begin(client)
        await look(client, task, set())

    async with served(tmp_path, [call("wait"), "It is 5."]) as (client, _):
        assert await result(client, task) == "It is 5."

    async with served(tmp_path, []) as (client, _):
        assert await result(client, task) == "It is 5."


async def test_a_task_that_was_stopped_stays_stopped(tmp_path):
    async with served(tmp_path, [call("wait")]) as (client, _):
        task = await begin(client)
        await stop(client, task)
        with pytest.raises(ToolError, match="cancelled"):
            await result(client, task)

    async with served(tmp_path, ["It is 5."]) as (client, _):
        with pytest.raises(ToolError, match="the task was stopped"):
            await result(client, task)


async def test_a_task_that_is_over_keeps_its_answer_when_it_is_stopped_after_a_restart(tmp_path):
    async with served(tmp_path, ["It is 5."]) as (client, _):
        task = await begin(client)
        await result(client, task)

    async with served(tmp_path, []) as (client, _):
        await stop(client, task)
        assert await result(client, task) == "It is 5."

    async with served(tmp_path, []) as (client, _):
        assert await result(client, task) == "It is 5."


async def test_a_client_that_knows_no_tasks_waits_for_the_answer_and_hears_of_each_step(tmp_path):
    heard: list[str | None] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    store = Store.open(tmp_path / "runs.db")
    runtime = Runtime(ScriptedModel(["It is 5."]), Catalog([add]), Policy.preset("ask"), store)
    async with Client(Served(runtime, Order(prompt="", plan=False), tmp_path / "stopped").server) as client:
        found = await client.call_tool("run_agent", {"task": "What is 2 + 3?"}, progress_callback=hear)
        (content,) = found.content
        assert isinstance(content, TextContent)
        assert (content.text, handle(found), heard) == ("It is 5.", None, ["step 1"])

    store.close()
