"""Which sandbox: the strongest one that this machine proves, or the one that is named; never none without a word."""

from collections.abc import Sequence

from journeyman.errors import SandboxError
from journeyman.sandbox.monty import Monty
from journeyman.sandbox.sandbox import Probe, Provider, Sandbox, Spec

BACKENDS: tuple[Provider, ...] = (Monty(),)
"""Strongest first."""


async def open_sandbox(spec: Spec | None = None, backends: Sequence[Provider] = BACKENDS) -> Sandbox:
    """Open the first backend that gives what the spec asks for.

    Raises:
        SandboxError: none does; the message says why for each.
    """
    spec = spec or Spec()
    named = [backend for backend in backends if spec.backend in {"auto", backend.name}]
    if not named:
        known = ", ".join(backend.name for backend in backends)
        raise SandboxError(f"there is no sandbox {spec.backend!r}", fix=f"take one of: auto, {known}")

    reasons = []
    for backend in named:
        try:
            return await backend.open(spec)
        except SandboxError as error:
            reasons.append(f"{backend.name}: {error}")

    raise SandboxError(f"no sandbox is good enough ({'; '.join(reasons)})", fix="ask for a lower min_isolation")


async def probe_all(backends: Sequence[Provider] = BACKENDS) -> list[Probe]:
    """What each backend proves here."""
    return [await backend.probe() for backend in backends]
