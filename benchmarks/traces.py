"""What a store of traces costs: bytes on disk, and CPU time to list, search and replay.

Floors: the bytes of the results themselves; the bare SQLite query for the same rows; folding the events without a loop.
`TRACES_RUNS` sets how many runs there are to look through (100,000; they take a minute to write).
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import anyio
from sqlalchemy import text

from benchmarks.steps import Box, one_run, script
from journeyman.agent.budget import Limits
from journeyman.agent.models.scripted import ScriptedModel
from journeyman.agent.order import Order
from journeyman.agent.replay import replay
from journeyman.agent.session import Crew, execute
from journeyman.policies.policy import Policy
from journeyman.tools.function import tool
from journeyman.traces.events import ModelResponded, RunFinished, RunStarted
from journeyman.traces.find import find, search
from journeyman.traces.fold import State
from journeyman.traces.forget import stats
from journeyman.traces.messages import AssistantMessage, Text
from journeyman.traces.project import refresh
from journeyman.traces.store import Store, new_run_id

RUNS = int(os.environ.get("TRACES_RUNS", "100000"))
WORDS = ("harbour", "ledger", "invoice", "boat", "wiki", "printer", "desk", "anchor", "paper", "ferry")


PROSE = Path(__file__).with_name("traces.py").read_text(encoding="utf-8").split()
"""Words that are about as varied as what tools return; a text of one letter would deflate to nothing."""


def prose(seed: int) -> str:
    """A text of 1,000 characters."""
    return " ".join(Random(seed).choices(PROSE, k=300))[:1000]  # noqa: S311


class Wide(Box):
    """A tool whose results have 1 KB."""

    def __init__(self) -> None:
        @tool(read_only=True)
        def look(n: int) -> str:
            return prose(n)

        self.specs = (look.spec,)
        self._tool = look

    def find(self, name: str):
        return self._tool if name == "look" else None


async def size(folder: Path) -> tuple[int, int]:
    """Bytes on disk of 200 steps with results of 1 KB: as stored, and once projected and indexed."""
    with Store.open(folder / "size.db") as store:
        model = ScriptedModel([*({"tool": "look", "arguments": {"n": n}} for n in range(200)), "done"])
        order = Order(prompt="go", plan=False, limits=Limits(steps=None))
        run_id = new_run_id()
        await execute(order, Crew(model, Wide(), Policy.preset("ask"), store.recorder(run_id), run_id))

    with Store.open(folder / "size.db") as store:
        stored = stats(store).bytes
        refresh(store)

    with Store.open(folder / "size.db") as store:
        return stored, stats(store).bytes - stored


async def fill(store: Store) -> None:
    for n in range(RUNS):
        recorder = store.recorder(f"r{n:09}")
        words = f"{WORDS[n % 10]} {WORDS[n // 10 % 10]} number{n}"
        recorder.record(RunStarted(prompt=f"Where is the {words}?", model="local:starter"))
        message = AssistantMessage(parts=(Text(text=f"The {words} is in hall {n % 97}."),))
        recorder.record(ModelResponded(step=1, message=message))
        recorder.record(RunFinished(outcome="answered", answer=message.text, steps=1))
        if n % 500 == 0:
            await recorder.barrier()

    await recorder.barrier()


def cpu(work: Callable[[], object]) -> float:
    """Milliseconds, the least of five."""
    times = []
    for _ in range(5):
        before = time.process_time()
        work()
        times.append((time.process_time() - before) * 1000)

    return min(times)


def fetch(store: Store, query: str) -> object:
    with store.reading() as connection:
        return connection.execute(text(query)).all()


NEWEST = "SELECT * FROM run ORDER BY started_at DESC LIMIT 50"
SAYS = "SELECT rowid FROM words WHERE words MATCH '{}' ORDER BY rowid DESC LIMIT 50"


def look(folder: Path) -> None:
    path = folder / "many.db"
    with Store.open(path) as store:
        before = time.process_time()
        anyio.run(fill, store)
        written, before = time.process_time() - before, time.process_time()
        refresh(store)
        projected = time.process_time() - before

    print(f"{RUNS:,} runs: written in {written:.0f} CPU-s, projected and indexed in {projected:.0f}")
    with Store.open(path) as store:
        rows = [
            ("open the store and list the newest 50", lambda: opened(path), lambda: fetch(store, NEWEST)),
            ("a rare word", lambda: search(store, "number4711", 50), lambda: fetch(store, SAYS.format("number4711"))),
            ("a word in a tenth of the runs", lambda: find(store, "ferry"), lambda: fetch(store, SAYS.format("ferry"))),
            ("a word in all of them", lambda: find(store, "hall"), lambda: fetch(store, SAYS.format("hall"))),
            ("two words and a condition", lambda: find(store, "ferry desk steps<2"), lambda: fetch(store, NEWEST)),
        ]
        for name, ours, floor in rows:
            print(f"  {name:<40} {cpu(ours):7.1f} ms   floor {cpu(floor):6.1f} ms")


def opened(path: Path) -> None:
    with Store.open(path) as store:
        store.runs(50)


async def again(folder: Path) -> tuple[float, float]:
    """CPU seconds to replay a run of 400 steps, and to read and fold it."""
    with Store.open(folder / "again.db") as store:
        recorder = store.recorder("r")
        await one_run(script(400), recorder)
        before = time.process_time()
        events = [each.event for each in store.events("r")]
        State.of(events)
        floor = time.process_time() - before
        done = await replay([each.event for each in store.events("r")])
        spent = time.process_time() - before - floor
        assert done.same
        return spent, floor


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stored, more = anyio.run(size, folder)
        print(f"200 steps with results of 1 KB: {stored:,} bytes stored, {more:,} more once indexed; floor 200,000")
        spent, floor = anyio.run(again, folder)
        print(f"replay of 400 steps: {spent:.2f} CPU-s; reading and folding them {floor:.2f}")
        look(folder)


if __name__ == "__main__":
    main()
