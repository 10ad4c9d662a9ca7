"""Which sandbox: the strongest one that this machine proves, or the one that is named; never none without a word."""

from collections.abc import Sequence

from journeyman.errors import SandboxError
from journeyman.sandbox.docker import Docker, GVisor
from journeyman.sandbox.monty import Monty
from journeyman.sandbox.sandbox import Probe, Provider, Sandbox, Spec

BACKENDS: tuple[Provider, ...] = (Monty(), Docker(), GVisor())
"""Strongest first; the fastest ones among those that are not only a subset of Python come last but one."""
OPT_IN = frozenset({"gvisor"})
"""Never taken unless named: ten times slower at what it does most."""
FASTEST = ("native", "landlock", "docker")


async def open_sandbox(spec: Spec | None = None, backends: Sequence[Provider] = BACKENDS) -> Sandbox:
    """Open the first backend that gives what the spec asks for.

    Raises:
        SandboxError: none does; the message says why for each, the fix what would change it.
    """
    spec = spec or Spec()
    reasons, fixes = [], []
    for backend in candidates(spec, backends):
        try:
            return await backend.open(spec)
        except SandboxError as error:
            reasons.append(f"{backend.name}: {error}")
            fixes.append(error.fix)

    fix = next((fix for fix in fixes if fix), "ask for a lower min_isolation")
    raise SandboxError(f"no sandbox is good enough ({'; '.join(reasons)})", fix=fix)


async def probe_all(backends: Sequence[Provider] = BACKENDS) -> list[Probe]:
    """What each backend proves here."""
    return [await backend.probe() for backend in backends]


def choose(probes: Sequence[Probe], min_isolation: int = 1) -> tuple[Probe, str]:
    """What `auto` takes of these, and why not another one.

    Raises:
        SandboxError: none isolates enough; the fix is the first command that would change it.
    """
    passed = []
    for probe in (each for each in probes if each.backend not in OPT_IN):
        if probe.available and probe.level >= min_isolation:
            return probe, "; ".join(["it is the strongest that was seen to hold here", *passed])

        passed.append(f"{probe.backend} {f'is level {probe.level}' if probe.available else 'is not there'}")

    fix = next((probe.fix for probe in probes if probe.fix), "") or "ask for a lower min_isolation"
    raise SandboxError(f"no sandbox gives isolation level {min_isolation} here ({'; '.join(passed)})", fix=fix)


def candidates(spec: Spec, backends: Sequence[Provider] = BACKENDS) -> Sequence[Provider]:
    """The backends to try, in order. Raises SandboxError where there is none of that name."""
    if spec.backend == "auto":
        backends = [each for each in backends if each.name not in OPT_IN]
        if spec.prefer == "strong":
            return backends

        return sorted(backends, key=lambda each: FASTEST.index(each.name) if each.name in FASTEST else len(FASTEST))

    named = [backend for backend in backends if backend.name == spec.backend]
    if not named:
        known = ", ".join(backend.name for backend in backends)
        raise SandboxError(f"there is no sandbox {spec.backend!r}", fix=f"take one of: auto, {known}")

    return named
