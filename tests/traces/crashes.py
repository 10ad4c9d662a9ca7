"""Runs that are killed: `python -m tests.traces.crashes URL EFFECTS KILLS SEED`.

Each child is a copy of this process, so that it needs no time to import; it makes runs one after another, with the real
loop and store and a tool whose effect is a line in a file, until SIGKILL ends it at a random moment.
"""

import os
import random
import signal
import sys
import time

import anyio

from journeyman.agent.budget import Limits
from journeyman.agent.models.scripted import ScriptedModel
from journeyman.agent.order import Order
from journeyman.agent.session import Crew, execute
from journeyman.policies.policy import Policy
from journeyman.tools.function import tool
from journeyman.traces.store import Store, new_run_id
from tests.agent.crew import Box
from tests.traces.runs import started

SCRIPT = [*({"tool": "act", "arguments": {"n": n}} for n in range(6)), "done"]


async def runs(url: str, effects: str, forever: bool = True) -> None:
    log = os.open(effects, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    store = Store.open(url)
    while True:
        run_id = new_run_id()

        @tool
        async def act(n: int) -> str:  # a thread would not be copied with the process
            os.write(log, f"{run_id} c{n + 1}\n".encode())  # noqa: B023 - called before the next run begins
            return "x" * random.choice((10, 5000))  # noqa: S311

        crew = Crew(
            ScriptedModel(SCRIPT), Box({"act": act}), Policy.preset("ask").allow("act"), store.recorder(run_id), run_id
        )
        await execute(Order("go", limits=Limits(steps=None), plan=False), crew)
        if not forever:
            store.close()
            return


async def many(url: str, effects: str, count: int) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(runs, url, effects, False)


async def hold(url: str) -> None:
    """Have a run under way until we are killed."""
    store = Store.open(url)
    recorder = store.recorder("held")
    recorder.record(started())
    await recorder.barrier()
    sys.stdout.write("held\n")
    sys.stdout.flush()
    await anyio.sleep(60)


def main(url: str, effects: str, kills: int, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    anyio.run(runs, url, effects, False)  # everything is imported, and the store is there
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            anyio.run(runs, url, effects)

        time.sleep(dice.uniform(0.0, 0.05) if dice.random() < 0.8 else dice.uniform(0.05, 0.12))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    if sys.argv[3] == "many":
        anyio.run(many, sys.argv[1], sys.argv[2], 50)
    elif sys.argv[3] == "hold":
        anyio.run(hold, sys.argv[1])
    else:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
