"""Which sandbox: the strongest one that this machine proves, or the one that is named; never none without a word."""

from collections.abc import Sequence

from journeyman.errors import SandboxError
from journeyman.sandbox.monty import Monty
from journeyman.sandbox.sandbox import Probe, Provider, Sandbox, Spec

BACKENDS: tuple[Provider, ...] = (Monty(),)
"""Strongest first; the fastest ones among those that are not only a subset of Python come last but one."""
FASTEST = ("native", "landlock", "docker")


async def open_sandbox(spec: Spec | None = None, backends: Sequence[Provider] = BACKENDS) -> Sandbox:
    """Open the first backend that gives what the spec asks for.

    Raises:
        SandboxError: none does; the message says why for each, the fix what would change it.
    """
    spec = spec or Spec()
    reasons, fixes = [], []
    for backend in _named(spec, backends):
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


def _named(spec: Spec, backends: Sequence[Provider]) -> Sequence[Provider]:
    """The backends to try, in order."""
    if spec.backend == "auto":
        if spec.prefer == "strong":
            return backends

        return sorted(backends, key=lambda each: FASTEST.index(each.name) if each.name in FASTEST else len(FASTEST))

    named = [backend for backend in backends if backend.name == spec.backend]
    if not named:
        known = ", ".join(backend.name for backend in backends)
        raise SandboxError(f"there is no sandbox {spec.backend!r}", fix=f"take one of: auto, {known}")

    return named
