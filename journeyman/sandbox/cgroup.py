"""Control groups: what all processes of a sandbox together may use. Needs a folder of the hierarchy that we may write.

Version 1 has a hierarchy for each controller, version 2 one for all. In version 2 the group is made under the nearest
folder above ours that hands the controllers down, because a folder that has processes of its own cannot.
"""

import atexit
import os
from collections import defaultdict
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from secrets import token_hex

from journeyman.sandbox.sandbox import Limits

CONTROLLERS = ("memory", "pids", "cpu")
HIERARCHY = Path("/sys/fs/cgroup")
PERIOD_US = 20_000
_MEBIBYTE = 1024 * 1024


class Group:
    """One sandbox's at a time; made once and used again, because making it takes longer than a sandbox lives.

    Everything here blocks. Raises OSError where it cannot be made.
    """

    def __init__(self, parents: Mapping[str, Path], limits: Limits) -> None:
        name = f"journeyman-{os.getpid()}-{token_hex(4)}"
        self._folders = {controller: parent / name for controller, parent in parents.items()}
        self._memory = self._folders["memory"]
        self._killed = 0
        self.limits = limits
        try:
            for folder in set(self._folders.values()):
                folder.mkdir()

            for controller, file, value in _settings(limits, two=len(set(self._folders.values())) == 1):
                (self._folders[controller] / file).write_text(value)
        except OSError:
            self.remove()
            raise

    @contextmanager
    def doors(self) -> Generator[list[int]]:
        """Descriptors by which a process joins it that may not open them itself: it writes `0` to each."""
        with ExitStack() as held:
            yield [
                held.enter_context(open(folder / "cgroup.procs", "wb", 0)).fileno()  # noqa: PTH123 - a descriptor
                for folder in set(self._folders.values())
            ]

    def oom(self) -> bool:
        """Whether the kernel has killed for want of memory since this was last asked."""
        for file in ("memory.events", "memory.oom_control"):
            with suppress(OSError):
                counts = dict(line.split() for line in (self._memory / file).read_text().splitlines())
                before, self._killed = self._killed, int(counts.get("oom_kill", 0))
                return self._killed > before

        return False

    def share(self, cpus: float) -> None:
        """Give it another share of the processors from now on."""
        quota, folder = str(int(cpus * PERIOD_US)), self._folders["cpu"]
        two = (folder / "cpu.max").exists()
        (folder / ("cpu.max" if two else "cpu.cfs_quota_us")).write_text(f"{quota} {PERIOD_US}" if two else quota)

    def throttled(self) -> bool:
        """Whether the kernel has held it to its share of the processors."""
        with suppress(OSError):
            stat = dict(line.split() for line in (self._folders["cpu"] / "cpu.stat").read_text().splitlines())
            return int(stat.get("nr_throttled", 0)) > 0

        return False

    def free(self) -> None:
        """Nothing is alive in it any more: the next sandbox with these limits may have it."""
        _idle[self.limits].append(self)

    def remove(self) -> None:
        """Nothing may be alive in it."""
        for folder in set(self._folders.values()):
            with suppress(OSError):
                folder.rmdir()


_idle: defaultdict[Limits, list[Group]] = defaultdict(list)


def spare(limits: Limits) -> Group | None:
    """One that is free."""
    return _idle[limits].pop() if _idle[limits] else None


def made(limits: Limits) -> Group | None:
    """A new one; None where none can be had. Raises OSError."""
    found = parents()
    return Group(found, limits) if found is not None else None


@atexit.register
def remove_all() -> None:
    for groups in _idle.values():
        while groups:
            groups.pop().remove()


@cache
def parents() -> Mapping[str, Path] | None:
    """Where groups can be made, for each controller; None where they cannot. Found out by making one."""
    told = Path("/proc/self/cgroup").read_text()
    for found in (version_2(told, HIERARCHY), _version_1(told)):
        if found is not None:
            with suppress(OSError):
                Group(found, Limits()).remove()
                _sweep(found)
                return found

    return None


def _sweep(found: Mapping[str, Path]) -> None:
    """Remove what programs left behind that were killed."""
    for folder in {group for parent in found.values() for group in parent.glob("journeyman-*")}:
        if not Path(f"/proc/{folder.name.split('-')[1]}").exists():
            with suppress(OSError):
                folder.rmdir()


def _settings(limits: Limits, *, two: bool) -> list[tuple[str, str, str]]:
    memory, quota = str(limits.memory_mb * _MEBIBYTE), str(int(limits.cpus * PERIOD_US))
    pids = ("pids", "pids.max", str(limits.pids + 2))  # the supervisor and the worker are ours
    if two:
        swap = [("memory", "memory.swap.max", "0")] if Path("/proc/swaps").read_text().count("\n") > 1 else []
        return [("memory", "memory.max", memory), *swap, pids, ("cpu", "cpu.max", f"{quota} {PERIOD_US}")]

    period = ("cpu", "cpu.cfs_period_us", str(PERIOD_US))
    return [("memory", "memory.limit_in_bytes", memory), pids, period, ("cpu", "cpu.cfs_quota_us", quota)]


def _version_1(told: str) -> dict[str, Path] | None:
    found = {}
    for line in told.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in set(controllers.split(",")) & set(CONTROLLERS):
            found[controller] = Path(f"{HIERARCHY}/{controllers}{path}")

    return found if len(found) == len(CONTROLLERS) else None


def version_2(told: str, hierarchy: Path) -> dict[str, Path] | None:
    """Where groups can be made, after what /proc tells of this process and the files of the hierarchy."""
    for line in told.splitlines():
        if line.startswith("0::"):
            here = Path(f"{hierarchy}{line[3:]}")
            for folder in (here, *here.parents):
                with suppress(OSError):
                    handed_down = (folder / "cgroup.subtree_control").read_text().split()
                    if set(CONTROLLERS) <= set(handed_down) and os.access(folder / "cgroup.procs", os.W_OK):
                        return dict.fromkeys(CONTROLLERS, folder)

    return None
