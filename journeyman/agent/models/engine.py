"""How the local engine is to run, and how many threads it gets."""

import os
from pathlib import Path

from journeyman.traces.messages import Value

CONTEXT = 8192


class Engine(Value):
    """What can be chosen about the local engine; None leaves it to the engine and this machine."""

    threads: int | None = None
    context: int | None = None
    """Tokens of one conversation."""
    parallel: int = 1
    """Conversations that are decoded at once, each with a context of its own."""
    gpu_layers: int | None = None
    """Layers kept on a GPU: None for as many as fit."""
    renderer: str | None = None
    """The format of conversations: a family's name, or `template` for the file's own; None finds out."""
    stream: bool = True
    """False: nothing is shown while the model writes, and the engine tells each id; else those it leaves out of a
    stream, inside of characters that take several, are found again."""


def threads(cores: int, load: float) -> int:
    """Cores that are free, at least one.

    Never more than that: the engine's threads wait for each other at every layer, so one that has no core of its own
    stops them all (measured on two busy cores: 2 tokens a second with two threads, 27 with one).
    """
    return max(1, min(cores, round(cores - load)))


def free_threads() -> int:
    """Threads for the engine on this machine now."""
    return threads(cores(), min(_loads()))


def _loads() -> list[float]:
    """What runs beside us: in the last minute, which has our own past in it, and now, which may be a mere moment."""
    loads = [os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0]
    try:
        running, _ = Path("/proc/loadavg").read_text(encoding="ascii").split()[3].split("/")
        loads.append(int(running) - 1)  # one of them reads this
    except OSError:
        pass  # only Linux says how many run

    return loads


def cores() -> int:
    """Physical cores that this process may use, as far as the system tells."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    siblings = Path("/sys/devices/system/cpu")
    try:
        physical = {(siblings / f"cpu{n}/topology/thread_siblings_list").read_text(encoding="ascii") for n in usable}
    except OSError:
        physical = usable

    return max(1, min(len(physical), _quota()))


def _quota() -> int:
    """Whole cores that the control group allows."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return 1 << 16
