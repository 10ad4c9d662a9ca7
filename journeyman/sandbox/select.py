"""Which sandbox: the strongest one that this machine proves, or the one that is named; never none without a word."""

from collections.abc import Iterator, Sequence

from journeyman.errors import SandboxError
from journeyman.sandbox.docker import Docker, GVisor
from journeyman.sandbox.monty import Monty
from journeyman.sandbox.native import Native
from journeyman.sandbox.proven import proven
from journeyman.sandbox.sandbox import Probe, Provider, Sandbox, Spec
from journeyman.sandbox.unsafe import NAME, Unsafe

BACKENDS: tuple[Provider, ...] = (Native(), Docker(), GVisor(), Native(namespaces=False), Monty())
"""Of two that hold the same, the one that comes first is taken."""
OPT_IN = frozenset({"gvisor"})
"""Never taken unless named: ten times slower at what it does most."""
FASTEST = ("native", "landlock", "docker")
STRONGEST = 3
"""The level that can be had without naming a backend."""


async def open_sandbox(spec: Spec | None = None, backends: Sequence[Provider] = BACKENDS) -> Sandbox:
    """Open the first backend that gives what the spec asks for.

    Raises:
        SandboxError: none does; the message says why for each, the fix what would change it.
    """
    spec = spec or Spec()
    refusals: dict[str, SandboxError] = {}
    for backend, level in _tried(spec, backends):
        try:
            return await backend.open(spec.model_copy(update={"min_isolation": level}))
        except SandboxError as error:
            refusals[backend.name] = error

    reasons = "; ".join(f"{name}: {error}" for name, error in refusals.items())
    fix = next((error.fix for error in refusals.values() if error.fix), "ask for a lower min_isolation")
    raise SandboxError(f"no sandbox is good enough ({reasons})", fix=fix)


def asked(backend: str) -> Spec:
    """What the name of a backend means; to name the one that isolates nothing is to accept that."""
    return Spec(backend=backend, min_isolation=0 if backend == NAME else 1)


async def chosen(spec: Spec) -> Probe | None:
    """What `open_sandbox` will try first; for the trace. None where nothing will do."""
    for backend, level in _tried(spec, BACKENDS):
        probe = await proven(backend)
        if probe.available and probe.level >= level:
            return probe

    return None


async def probe_all(backends: Sequence[Provider] = BACKENDS) -> list[Probe]:
    """What each backend proves here, now."""
    return [await backend.probe() for backend in backends]


def _tried(spec: Spec, backends: Sequence[Provider]) -> Iterator[tuple[Provider, int]]:
    """Backends with the level that each must give: where `auto` wants the strongest, the highest level comes first."""
    graded = spec.backend == "auto" and spec.prefer == "strong" and spec.min_isolation <= STRONGEST
    for level in range(STRONGEST, spec.min_isolation - 1, -1) if graded else [spec.min_isolation]:
        for backend in candidates(spec, backends):
            yield backend, level


def choose(probes: Sequence[Probe], min_isolation: int = 1) -> tuple[Probe, str]:
    """What `auto` takes of these, and why not another one.

    Raises:
        SandboxError: none isolates enough; the fix is the first command that would change it.
    """
    others = [probe for probe in probes if probe.backend not in OPT_IN]
    passed = [f"{each.backend} {f'is level {each.level}' if each.available else 'is not there'}" for each in others]
    best = max((each for each in others if each.available), key=lambda each: each.level, default=None)
    if best is not None and best.level >= min_isolation:
        rest = [said for said, each in zip(passed, others, strict=True) if each is not best]
        return best, "; ".join(["it is the strongest that was seen to hold here", *rest])

    fix = _way(probes, min_isolation) or "ask for a lower min_isolation"
    raise SandboxError(f"no sandbox gives isolation level {min_isolation} here ({'; '.join(passed)})", fix=fix)


def _way(probes: Sequence[Probe], level: int) -> str:
    """What would give that level."""
    named = next((probe for probe in probes if probe.backend in OPT_IN), None)
    if level <= STRONGEST or named is None:
        return next((probe.fix for probe in probes if probe.fix), "")

    take = f"take it by its name: --sandbox {named.backend}"
    return take if named.available else f"only {named.backend} gives it: {named.fix}; then {take}"


def candidates(spec: Spec, backends: Sequence[Provider] = BACKENDS) -> Sequence[Provider]:
    """The backends to try, in order. Raises SandboxError where there is none of that name."""
    if spec.backend == "auto":
        backends = [each for each in backends if each.name not in OPT_IN]
        if spec.prefer == "strong":
            return backends

        return sorted(backends, key=lambda each: FASTEST.index(each.name) if each.name in FASTEST else len(FASTEST))

    named = [backend for backend in (*backends, Unsafe()) if backend.name == spec.backend]
    if not named:
        known = ", ".join(backend.name for backend in backends)
        raise SandboxError(f"there is no sandbox {spec.backend!r}", fix=f"take one of: auto, {known}, {NAME}")

    return named
