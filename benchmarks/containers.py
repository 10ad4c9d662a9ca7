"""Containers: what a cell, a new session and its end take, beside the `docker` command doing the same.

Wall time, the median of several, because most of it is spent in the daemon and the kernel.
"""

import shutil
import time
from collections.abc import Awaitable, Callable

import anyio

from journeyman.errors import SandboxError
from journeyman.sandbox.docker import Docker, GVisor
from journeyman.sandbox.image import tag
from journeyman.sandbox.sandbox import Spec

CELLS = 300
SESSIONS = 5


async def median_ms(times: int, work: Callable[[], Awaitable[object]]) -> float:
    took = []
    for _ in range(times):
        started = time.perf_counter()
        await work()
        took.append(time.perf_counter() - started)

    return sorted(took)[times // 2] * 1e3


async def of(backend: Docker) -> None:
    spec = Spec()
    box = await backend.open(spec)
    await box.run_python("x = 1")
    print(f"  {await median_ms(CELLS, lambda: box.run_python('x')):8.2f} ms  {backend.name}: a cell (goal 0.5)")
    await box.close()
    opened = []

    async def fresh() -> None:
        opened.append(await backend.open(spec))
        await opened[-1].run_python("1")

    print(f"  {await median_ms(SESSIONS, fresh):8.2f} ms  {backend.name}: a new container to its first result")
    print(f"  {await median_ms(SESSIONS, lambda: opened.pop().close()):8.2f} ms  {backend.name}: its end (goal 500)")
    await backend.prewarm(spec, SESSIONS)

    async def warm() -> None:
        opened.append(await backend.open(spec))

    print(f"  {await median_ms(SESSIONS, warm):8.2f} ms  {backend.name}: a warm container is handed over (goal 5)")
    await backend.cool(spec)
    for box in opened:
        await box.close()


async def commands() -> None:
    async def run() -> None:
        await anyio.run_process(["docker", "run", "--rm", "--network", "none", tag(), "python3", "-c", "1"])

    print(f"  {await median_ms(SESSIONS, run):8.2f} ms  docker run --rm python3 -c 1")
    started = await anyio.run_process(["docker", "run", "-d", "--rm", "--network", "none", tag(), "sleep", "60"])
    name = started.stdout.decode().strip()

    async def execute() -> None:
        await anyio.run_process(["docker", "exec", name, "python3", "-c", "1"])

    print(f"  {await median_ms(SESSIONS, execute):8.2f} ms  docker exec python3 -c 1")
    await anyio.run_process(["docker", "rm", "-f", name])


async def measure() -> None:
    for backend in (Docker(), GVisor()):
        try:
            await of(backend)
        except SandboxError as error:
            print(f"            {backend.name} is not here: {error}")

    if shutil.which("docker"):
        await commands()


def main() -> None:
    print("containers, median wall time")
    anyio.run(measure)


if __name__ == "__main__":
    main()
