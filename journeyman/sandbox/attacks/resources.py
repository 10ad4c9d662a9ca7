"""Attacks on what a sandbox may use: processes, memory, processors, space, output and time."""

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio

from journeyman.errors import SandboxError
from journeyman.sandbox.attacks.attack import Arena, Box, Escaped, attack, unless
from journeyman.sandbox.attacks.witness import fields
from journeyman.sandbox.sandbox import CellResult

SLACK = 2
"""How far beyond a limit counts as beyond it: other memory, threads and clocks are in what is measured."""


@attack("system", "400 processes")
async def fork_bomb(arena: Arena) -> str:
    async with arena.open() as box:
        return await _within(box, _FORKS, "processes", box.limits.pids, lambda: len(arena.processes()))


@attack("system", "1 GiB of memory in one process")
async def memory_bomb(arena: Arena) -> str:
    async with arena.open() as box:
        return await _within(box, _MEMORY, "MB", _megabytes(box), lambda: _resident_mb(arena.processes()))


@attack("system", "1 GiB of memory in ten processes")
async def memory_bombs(arena: Arena) -> str:
    async with arena.open() as box:
        return await _within(box, _MEMORIES, "MB", _megabytes(box), lambda: _resident_mb(arena.processes()))


@attack("system", "more CPU time than one's share, in four processes")
async def cpu_share(arena: Arena) -> str:
    async with arena.open() as box:
        quotas: set[float] = set()

        def look() -> int:
            quotas.update(_quota(pid) for pid in arena.processes() or box.strangers())
            return 0

        await _within(box, _SPIN, "cores", box.limits.cpus, look)
        if not any(0 < quota <= box.limits.cpus for quota in quotas):
            raise Escaped("no quota of the kernel bounds it")

        return f"the kernel holds it to {max(quotas):g} cores"


@attack("system", "400 MB of files")
async def disk_fill(arena: Arena) -> str:
    async with arena.open() as box:
        return await _within(box, _DISK, "MB", 2 * box.limits.disk_mb)


@attack("system", "40,000 files")
async def inode_fill(arena: Arena) -> str:
    async with arena.open() as box:
        return await _within(box, _INODES, "files", box.limits.inodes)


@attack("system", "200 MB of output")
async def output_flood(arena: Arena) -> str:
    async with arena.open() as box:
        result = await box.run("for _ in range(200): print('x' * 1_000_000)")
        kept = len(result.stdout) + len(result.stderr)
        return unless(kept > SLACK * box.limits.output_kb * 1024, f"{kept} bytes came", box.note(result))


@attack("system", "go on although told to stop, with every signal ignored")
async def ignores_signals(arena: Arena) -> str:
    async with arena.open() as box:
        started = time.monotonic()
        result = await box.run(_STUBBORN, timeout=1)
        if time.monotonic() - started > 5:  # noqa: PLR2004 - far beyond the second that was given
            raise Escaped("it went on after its time")

        note = box.note(result)

    return await _dead(arena, note)


@attack("system", "leave a process behind that belongs to no one")
async def survivor(arena: Arena) -> str:
    async with arena.open() as box:
        note = box.note(await box.run(_ORPHAN))

    return await _dead(arena, note)


@attack("system", "2,000 open files")
async def open_files(arena: Arena) -> str:
    async with arena.open() as box:
        return await _within(box, _FILES, "files", box.limits.files)


@attack("system", "a file that says it is 1 TiB")
async def sparse_file(arena: Arena) -> str:
    async with arena.open() as box:
        return await _within(box, _SPARSE, "MB", box.limits.file_mb)


async def _within(box: Box, code: str, unit: str, limit: float, witness: Any = lambda: 0) -> str:
    """Run code that takes what it can and holds it for a moment. Raises Escaped if that is far beyond the limit."""
    taken, stop = 0, anyio.Event()

    async def watch() -> None:
        nonlocal taken
        while not stop.is_set():
            taken = max(taken, await anyio.to_thread.run_sync(witness))
            await anyio.sleep(0.02)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        try:
            result: CellResult | SandboxError = await box.run(code)
        except SandboxError as error:
            result = error

        stop.set()

    if isinstance(result, SandboxError):  # raised here, where no group of tasks wraps it
        raise result

    said = [int(word) for word in result.stdout.split() if word.isdecimal()]
    taken = max([taken, *said])
    return unless(
        taken > SLACK * limit, f"{taken} {unit}, {limit:g} are allowed", f"{taken} {unit}; {box.note(result)}"
    )


async def _dead(arena: Arena, note: str) -> str:
    with anyio.move_on_after(0.5):
        while arena.processes():  # noqa: ASYNC110 - nobody tells when they are gone
            await anyio.sleep(0.01)

    if arena.processes():
        raise Escaped("a process is still there after the sandbox was closed")

    return note


def _megabytes(box: Box) -> float:
    return box.limits.memory_mb + box.limits.disk_mb


def _resident_mb(pids: Iterable[int]) -> int:
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, KeyError):
            total += int(fields(Path(f"/proc/{pid}/status").read_text("utf-8"))["RssAnon"].split()[0])

    return total // 1024


def _quota(pid: int) -> float:
    """Cores that the kernel grants a process's group, or one above it; 0 where there is no bound."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/cgroup").read_text("utf-8").splitlines():
            _, controllers, group = line.split(":", 2)
            if "cpu" in controllers.split(","):
                folder = Path(f"/sys/fs/cgroup/cpu{group}")
                quota = int((folder / "cpu.cfs_quota_us").read_text("utf-8"))
                return max(quota, 0) / int((folder / "cpu.cfs_period_us").read_text("utf-8"))

            if not controllers and (most := Path(f"/sys/fs/cgroup{group}/cpu.max")).exists():
                quota_us, period_us = most.read_text("utf-8").split()
                return 0.0 if quota_us == "max" else int(quota_us) / int(period_us)

    return 0.0


_FORKS = """
count = 0
try:
    for _ in range(400):
        if os.fork() == 0:
            time.sleep(1.5)
            os._exit(0)
        count += 1
except BaseException as error:
    print(error)
print(count)
time.sleep(0.4)
"""
_MEMORY = """
held = []
for _ in range(32):
    held.append(b"x" * (32 << 20))
    print(len(held) * 32, flush=True)
time.sleep(0.4)
"""
_MEMORIES = """
children = []
for _ in range(10):
    children.append(os.fork())
    if children[-1] == 0:
        held = b"x" * (100 << 20)
        time.sleep(1.5)
        os._exit(0)
[os.waitpid(child, 0)[1] for child in children]
"""
_SPIN = """
children = []
for _ in range(4):
    children.append(os.fork())
    if children[-1] == 0:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            pass
        os._exit(0)
[os.waitpid(child, 0)[1] for child in children]
"""
_DISK = """
total = 0
for place in (".", "/tmp", "/dev/shm", "/var/tmp", "/run"):
    for number in range(14):
        try:
            with open(f"{place}/{TOKEN}.{number}", "wb") as file:
                total += file.write(b"x" * (30 << 20)) >> 20
        except BaseException as error:
            print(place, error)
            break
print(total)
for place in (".", "/tmp", "/dev/shm", "/var/tmp", "/run"):
    for number in range(14):
        attempt(os.unlink, f"{place}/{TOKEN}.{number}")
"""
_INODES = """
count = 0
try:
    for count in range(40_000):
        os.close(os.open(f"{TOKEN}.{count}", os.O_CREAT | os.O_WRONLY))
except BaseException as error:
    print(error)
print(count)
"""
_STUBBORN = """
for number in range(1, 65):
    attempt(signal.signal, number, signal.SIG_IGN)
while True:
    pass
"""
_ORPHAN = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(1, 65):
            attempt(signal.signal, number, signal.SIG_IGN)
        time.sleep(30)
    os._exit(0)
"left"
"""
_FILES = """
held = []
try:
    for _ in range(2000):
        held.append(os.open(".", os.O_RDONLY))
except BaseException as error:
    print(error)
print(len(held))
for number in held:
    os.close(number)
"""
_SPARSE = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = 0
with open(f"{TOKEN}.sparse", "wb") as file:
    print(attempt(file.truncate, 1 << 40) == 1 << 40)
print(os.path.getsize(f"{TOKEN}.sparse") >> 20)
"""
