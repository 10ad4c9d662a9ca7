"""What was proven on this machine, remembered: proving takes a moment, and what it rests on seldom changes.

Forgotten when the machine starts anew, when kernel, Python, user or our own code are others, and after a day; that a
backend is missing is believed for ten minutes. `journeyman sandbox doctor` asks anew.
"""

import contextlib
import json
import os
import platform
import sys
import time
from functools import cache
from hashlib import blake2b
from pathlib import Path

from journeyman.home import cache_dir, replace_text
from journeyman.sandbox.sandbox import Probe, Provider

FRESH_S = 24 * 3600
MISSING_S = 600


async def proven(backend: Provider) -> Probe:
    """What is remembered of a backend, else what it proves now."""
    probes = _remembered()
    if backend.name not in probes:
        probes[backend.name] = await backend.probe()
        remember([probes[backend.name]])

    return probes[backend.name]


def remember(probes: list[Probe]) -> None:
    """Keep what was proven a moment ago; a disk that cannot be written is no harm."""
    everything = {each.backend: {"at": time.time(), "probe": each.model_dump()} for each in probes}
    with contextlib.suppress(OSError):
        replace_text(_file(), json.dumps({"here": _here(), "probes": {**_read(), **everything}}))


def _remembered() -> dict[str, Probe]:
    found = {}
    for name, entry in _read().items():
        probe = Probe(**entry["probe"])
        if 0 <= time.time() - entry["at"] < (FRESH_S if probe.available else MISSING_S):
            found[name] = probe

    return found


def _read() -> dict[str, dict]:
    with contextlib.suppress(OSError, ValueError):
        data = json.loads(_file().read_text())
        if data["here"] == _here():
            return data["probes"]

    return {}


def _file() -> Path:
    return cache_dir() / "sandbox.json"


@cache
def _here() -> str:
    """A name for everything that a proof rests on."""
    facts = [platform.version(), sys.executable, sys.version, getattr(os, "getuid", int)()]
    facts.append(os.environ.get("DOCKER_HOST", ""))
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/cgroup", "/proc/sys/user/max_user_namespaces"):
        with contextlib.suppress(OSError):
            facts.append(Path(path).read_text())

    here = Path(__file__).parent
    facts += [(path.name, path.stat().st_mtime_ns) for path in sorted([*here.glob("*.py"), *here.glob("inside/*.py")])]
    return blake2b(repr(facts).encode(), digest_size=16).hexdigest()
