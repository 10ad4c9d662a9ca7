"""A hundred runs at once with a model that takes 50 ms: steps a second, of the number that the model allows."""

import tempfile
import time
from pathlib import Path

import anyio

from benchmarks.steps import one_run, script
from journeyman.traces.store import Store, new_run_id

RUNS = 100
STEPS = 20
DELAY = 0.05


async def hundred(folder: Path) -> tuple[float, float]:
    store = Store.open(folder / "runs.db")
    await one_run(script(3), store.recorder(new_run_id()))
    wall, cpu = time.perf_counter(), time.process_time()
    async with anyio.create_task_group() as group:
        for _ in range(RUNS):
            group.start_soon(one_run, script(STEPS, DELAY), store.recorder(new_run_id()))

    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    store.close()
    return RUNS * (STEPS + 1) / wall, cpu / RUNS / STEPS * 1e6


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        rate, cpu = anyio.run(hundred, Path(name))

    print(f"{RUNS} runs at once, model answers in {DELAY * 1000:.0f} ms")
    print(f"  {rate:,.0f} of {RUNS / DELAY:,.0f} possible steps/s; {cpu:.0f} us of CPU a step")


if __name__ == "__main__":
    main()
