"""CPU time of one step: ask the model, decide its call, commit the intent, call the tool, record the result in SQLite.

The floor does what cannot be left out, without a runtime: validate arguments with pydantic, write the six events of a
step as JSON rows, commit once. It runs in the same process on the same kind of file.
"""

import json
import sqlite3
import tempfile
import time
from pathlib import Path

import anyio
from pydantic import BaseModel

from journeyman.agent.budget import Limits
from journeyman.agent.models.scripted import ScriptedModel
from journeyman.agent.order import Order, Result
from journeyman.agent.session import Crew, execute
from journeyman.policies.policy import Policy
from journeyman.tools.function import tool
from journeyman.traces.store import Store, new_run_id

SIZES = (50, 200, 400)
REPEATS = 5


@tool(read_only=True, thread=False)
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Box:
    specs = (add.spec,)

    def find(self, name: str):
        return add if name == "add" else None

    def suggest(self, name: str) -> str:
        return f"no tool {name}"


class Nowhere:
    """A recorder that keeps nothing: what the loop costs without the store."""

    def record(self, event) -> None:
        pass

    async def barrier(self) -> None:
        pass


def script(steps: int, delay: float = 0.0) -> ScriptedModel:
    calls = [{"tool": "add", "arguments": {"a": n, "b": 2}} for n in range(steps)]
    return ScriptedModel([*calls, "done"], delay=delay)


async def one_run(model: ScriptedModel, recorder) -> Result:
    order = Order(prompt="go", limits=Limits(steps=None), plan=False)
    return await execute(order, Crew(model, Box(), Policy.preset("ask"), recorder, new_run_id()))


async def runtime(folder: Path | None, steps: int) -> float:
    """Microseconds of CPU a step."""
    store = Store.open(folder / "runs.db") if folder else None
    model = script(steps)
    await one_run(script(20), store.recorder(new_run_id()) if store else Nowhere())
    before = time.process_time()
    result = await one_run(model, store.recorder(new_run_id()) if store else Nowhere())
    spent = time.process_time() - before
    assert result.outcome == "answered"
    if store:
        store.close()

    return spent / steps * 1e6


class Arguments(BaseModel):
    a: int
    b: int


def floor(folder: Path, steps: int) -> float:
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE event (run TEXT, seq INT, body TEXT, PRIMARY KEY (run, seq)) WITHOUT ROWID")
    before = time.process_time()
    for step in range(steps):
        arguments = Arguments.model_validate_json(f'{{"a": {step}, "b": 2}}')
        answer = arguments.a + arguments.b
        rows = [
            ("run", 6 * step + n, json.dumps({"type": "event", "step": step, "text": str(answer)})) for n in range(6)
        ]
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO event VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")

    spent = time.process_time() - before
    connection.close()
    return spent / steps * 1e6


def main() -> None:
    print(f"one step, microseconds of CPU (least of {REPEATS})")
    print("  steps   floor   loop alone   loop + store")
    for steps in SIZES:
        figures = []
        for _ in range(REPEATS):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                figures.append(
                    (floor(folder, steps), anyio.run(runtime, None, steps), anyio.run(runtime, folder, steps))
                )

        bare, loop, durable = (min(column) for column in zip(*figures, strict=True))
        print(f"  {steps:5}  {bare:6.0f}  {loop:11.0f}  {durable:13.0f}")


if __name__ == "__main__":
    main()
