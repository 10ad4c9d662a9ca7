"""What the kernel tells of processes. Only the standard library."""

import os
import resource
import signal
import time
from contextlib import suppress


def ending(code: int) -> str:
    """How a process ended, from its exit code; minus the signal where one ended it."""
    if code >= 0:
        return f"exit code {code}"

    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def others(worker: int) -> set[int]:
    """Living processes of this namespace but its first, this one, the worker and the worker's."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:
                state, parent = stat.read().rpartition(b")")[2].split()[:2]
                if state not in {b"Z", b"X"}:
                    parents[int(name)] = int(parent)

    kept = {1, os.getpid(), worker}
    found = set()
    for pid in parents.keys() - kept:
        above = pid
        while above not in kept and above in parents:
            above = parents[above]

        if above != worker:
            found.add(pid)

    return found


def cpu_s(pid: int) -> float:
    """CPU seconds of a living process, all its threads; 0 where the kernel does not tell."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def peak_kb(pid: int) -> int:
    """The most memory that a living process has had in use."""
    with suppress(OSError, ValueError), open(f"/proc/{pid}/status", "rb") as status:
        text = status.read()
        return int(text[text.index(b"VmHWM:") + 6 :].split(None, 1)[0])

    return 0


def mapped() -> int:
    """Bytes of address space that this process has."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 256 * 1024 * 1024
