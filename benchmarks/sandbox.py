"""Native sandboxes, beside bubblewrap and a bare interpreter: p50 and least of many, because machines are shared."""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from journeyman.errors import SandboxError
from journeyman.sandbox.native import Native
from journeyman.sandbox.sandbox import Limits, Spec

FILES = 2000
LIVE = 300
ROLLOUTS = 200
READY = 5
BARE = [sys.executable, "-I", "-S", "-c", "1+1"]
BUBBLEWRAP = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", *BARE]


RELAY = """
import os, socket, sys
host = socket.socket(fileno=int(sys.argv[1]))
ours, theirs = socket.socketpair()
if os.fork() == 0:
    ours.close()
    host.close()
    while code := theirs.recv(100):
        theirs.send(repr(eval(compile(code, "", "eval"))).encode())

    os._exit(0)

while code := host.recv(100):
    ours.send(code)
    host.send(ours.recv(100))
"""


async def main_async() -> None:
    native = Native()
    probe = await native.probe()
    if not probe.available:
        print(f"  no native sandbox: {probe.reason}")
        return

    await _cells(native)
    await _fresh(native, Spec(), "fresh sandbox to its first result (goal 6 ms)")
    try:
        await _fresh(native, Spec(preload=("numpy",)), "the same with numpy (goal 8 ms)")
    except SandboxError as error:
        print(f"         {error}")

    await _rollouts(native)
    await _rollback(native)
    await _live(native)


async def _cells(native: Native) -> None:
    box = await native.open(Spec())
    await _timed(500, lambda: box.run_python("1 + 1"), "a cell in a session (goal 0.2 ms)")
    await _timed(20, lambda: box.exec(("true",)), "a command in a session")
    await box.close()
    await _relay()


async def _relay() -> None:
    """The floor of a cell: three bare Python processes, event loop, relay and worker, that hand a few bytes on."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        relay = subprocess.Popen(  # noqa: ASYNC220 - it starts at once
            [sys.executable, "-I", "-S", "-c", RELAY, str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )

    async def once() -> None:
        ours.send(b"1 + 1")
        await anyio.wait_readable(ours)
        ours.recv(100)

    with ours:
        await _timed(500, once, "floor: the same by three bare processes, with nothing checked or told")

    relay.wait()


async def _fresh(native: Native, spec: Spec, words: str) -> None:
    boxes = []

    async def first_result() -> None:
        boxes.append(await native.open(spec))
        await boxes[-1].run_python("1 + 1")

    await first_result()  # starts the server
    await _timed(30, first_result, words)
    await native.prewarm(spec, READY)
    await _timed(30, first_result, f"one of {READY} that are made ahead, each replaced")
    await native.prewarm(spec, 0)
    await _timed(30, lambda: boxes.pop().close(), "killing it and all it started (goal 10 ms)")
    for box in boxes:
        await box.close()


async def _rollouts(native: Native) -> None:
    async def several() -> None:
        for _ in range(ROLLOUTS // 6):
            box = await native.open(Spec())
            for _ in range(3):
                await box.run_python("x = 1")

            await box.close()

    started = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(several)

    rate = ROLLOUTS // 6 * 6 / (time.perf_counter() - started)
    print(f"  {rate:7.0f}  fresh sandboxes a second, three cells each, six side by side (goal 250)")


async def _rollback(native: Native) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number in range(FILES):
            Path(folder, f"{number}.txt").write_bytes(bytes(1000))  # noqa: ASYNC240 - nothing else runs

        box = await native.open(Spec(workspace=Path(folder)))
        await box.exec(("sh", "-c", "echo 1 > 1.txt; rm 2.txt"))
        state = await box.snapshot()
        await _timed(30, lambda: box.restore(state), f"rollback of a workspace of {FILES} files (goal 1 ms)")
        await box.close()


async def _live(native: Native) -> None:
    boxes = []
    for _ in range(LIVE):
        boxes.append(await native.open(Spec(limits=Limits(memory_mb=64))))
        await boxes[-1].run_python("1 + 1")

    print(f"  {_memory_mb():7.0f}  MB that {LIVE} live sessions take (goal 1024)")
    for box in boxes:
        await box.close()


def _memory_mb() -> float:
    """Of all sandbox processes, pages that several share counted once."""
    total = 0
    for smaps in Path("/proc").glob("[0-9]*/smaps_rollup"):
        try:
            if b"zygote import main" in (smaps.parent / "cmdline").read_bytes():
                fields = dict(line.split(":", 1) for line in smaps.read_text().splitlines()[1:])
                total += int(fields["Pss"].split()[0])
        except (OSError, ValueError):
            continue

    return total / 1024


async def _timed(times: int, work: Callable[[], Awaitable[object]], words: str) -> None:
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        await work()
        spent.append((time.perf_counter() - started) * 1e3)

    _print(spent, words)


def _print(spent: list[float], words: str) -> None:
    spent.sort()
    print(f"  {spent[len(spent) // 2]:7.3f}  {words}; least {spent[0]:.3f}")


def _command(command: list[str], words: str) -> None:
    spent = []
    for _ in range(15):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        spent.append((time.perf_counter() - started) * 1e3)

    _print(spent, words)


def main() -> None:
    print("native sandboxes, milliseconds (p50)")
    anyio.run(main_async)
    _command(BARE, "floor: a bare interpreter for each piece of code, no sandbox")
    if shutil.which("bwrap"):
        _command(BUBBLEWRAP, "peer: bubblewrap and an interpreter for each piece of code")


if __name__ == "__main__":
    main()
