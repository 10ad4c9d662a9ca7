"""Which sandbox is taken, what is remembered of it, and the one that is none."""

import pytest

from journeyman.errors import SandboxError
from journeyman.sandbox.proven import proven, remember
from journeyman.sandbox.sandbox import CellResult, Probe, Spec
from journeyman.sandbox.select import choose, open_sandbox
from journeyman.sandbox.unsafe import Unsafe


class Backend:
    """One that gives a level, and says which one was opened."""

    def __init__(self, name: str, level: int) -> None:
        self.name, self.level, self.probes = name, level, 0

    async def probe(self) -> Probe:
        self.probes += 1
        return Probe(backend=self.name, available=self.level > 0, level=self.level)

    async def open(self, spec: Spec):
        if self.level < spec.min_isolation:
            raise SandboxError(f"level {self.level}", fix=f"strengthen {self.name}")

        return self.name


@pytest.mark.parametrize(
    ("levels", "spec", "taken"),
    [
        ((3, 3, 1), Spec(), "native"),
        ((2, 3, 1), Spec(), "docker"),
        ((2, 0, 1), Spec(), "native"),
        ((0, 0, 1), Spec(), "landlock"),
        ((2, 3, 1), Spec(prefer="fast"), "native"),
        ((2, 3, 1), Spec(prefer="fast", min_isolation=3), "docker"),
        ((3, 3, 1), Spec(backend="landlock"), "landlock"),
    ],
)
async def test_auto_takes_the_strongest_and_of_equals_the_first(levels, spec: Spec, taken: str):
    backends = [Backend(name, level) for name, level in zip(("native", "docker", "landlock"), levels, strict=True)]
    assert await open_sandbox(spec, backends) == taken


async def test_when_nothing_is_good_enough_each_reason_is_told_and_the_first_thing_to_do():
    with pytest.raises(SandboxError) as refused:
        await open_sandbox(Spec(min_isolation=3), [Backend("native", 2), Backend("docker", 0)])

    assert str(refused.value) == "no sandbox is good enough (native: level 2; docker: level 0)"
    assert refused.value.fix == "strengthen native"


async def test_a_proof_is_remembered_until_it_is_asked_for_anew(monkeypatch, tmp_path):
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path))
    backend = Backend("native", 2)
    assert [(await proven(backend)).level, (await proven(backend)).level] == [2, 2]
    assert backend.probes == 1
    remember([Probe(backend="native", available=True, level=3)])
    assert (await proven(backend)).level == 3


async def test_without_isolation_code_runs_only_where_that_is_named():
    for spec in (Spec(), Spec(min_isolation=0), Spec(backend="unsafe-subprocess")):
        with pytest.raises(SandboxError, match="isolates nothing"):
            await Unsafe().open(spec)

    box = await open_sandbox(Spec(backend="unsafe-subprocess", min_isolation=0))
    try:
        assert box.probe.level == 0
        result = (await box.run_python("import os\nos.getcwd() != '/' and 6 * 7")).model_copy(
            update={"wall_ms": 0.0, "cpu_ms": 0.0, "max_rss_kb": 0}
        )
        assert result == CellResult(status="ok", value="42")
        assert (await box.run_python("while True: pass", timeout=0.1)).status == "timeout"
        assert (await box.exec(("sh", "-c", "sleep 99"), timeout=0.1)).status == "timeout"
    finally:
        await box.close()


@pytest.mark.parametrize(
    ("gvisor", "fix"),
    [
        (Probe(backend="gvisor", available=True, level=4), "take it by its name: --sandbox gvisor"),
        (
            Probe(backend="gvisor", available=False, fix="install runsc"),
            "only gvisor gives it: install runsc; then take it by its name: --sandbox gvisor",
        ),
    ],
)
def test_a_kernel_of_ones_own_is_had_by_naming_it(gvisor, fix):
    others = [
        Probe(backend="native", available=True, level=3),
        Probe(backend="docker", available=False, fix="start it"),
    ]
    with pytest.raises(SandboxError, match="no sandbox gives isolation level 4") as error:
        choose([*others, gvisor], 4)

    assert error.value.fix == fix
