"""The suite itself; what each sandbox withstands is in docs/security/sandbox-attacks.md, which CI checks."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from shutil import rmtree
from tempfile import mkdtemp

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.stapled import StapledByteStream
from click.testing import CliRunner

from journeyman.cli.app import app
from journeyman.cli.sandbox import suite
from journeyman.errors import SandboxError
from journeyman.sandbox.attacks.attack import Arena, Attack, Escaped, arena, assault, counted, verdict
from journeyman.sandbox.box import Box
from journeyman.sandbox.monty import Monty
from journeyman.sandbox.sandbox import Probe, Spec
from tests.need import need


@pytest.fixture
def anyio_backend():
    return "asyncio"


def test_the_suite_has_the_attacks_that_were_promised():
    groups = [attack.group for attack in suite()]
    assert (groups.count("system"), groups.count("host") >= 16, groups.count("forging") >= 8) == (24, True, True)
    assert len({attack.name for attack in suite()}) == len(groups)
    assert all(attack.what for attack in suite())


async def _escapes(arena: Arena) -> str:
    raise Escaped("here is the evidence")


async def _falls_over(arena: Arena) -> str:
    return arena.folder.parts[99]


async def _looks(arena: Arena) -> str:
    arena.refuse_secret(arena.file.read_bytes())
    return "not seen"


async def _begins(arena: Arena) -> str:
    async with arena.open() as box:
        return box.note(await box.run("1"))


@pytest.mark.parametrize(
    ("run", "contained", "detail"),
    [
        (_escapes, False, "here is the evidence"),
        (_falls_over, False, "the caller fell over: IndexError: tuple index out of range"),
        (_looks, False, "the caller's secret came back"),
        (
            _begins,
            True,
            "could not begin: this sandbox runs a safe subset of Python: no module 'ctypes'; there are ...",
        ),
    ],
)
async def test_a_verdict_is_what_was_witnessed(run, contained, detail):
    attack = Attack(name="one", group="host", what="something", run=run)
    verdict = (await assault(Monty(), [attack]))[0]
    assert (verdict.contained, verdict.detail.startswith(detail.removesuffix("..."))) == (contained, True)
    assert verdict.begun == (run is not _begins)
    assert (
        counted([verdict])
        == {
            (False, True): "0 of 1 contained",
            (True, False): "0 of 1 contained; 1 could not begin, as the sandbox knows no such operation",
        }[contained, verdict.begun]
    )


async def test_nothing_of_the_arena_is_left_behind():
    place = []

    async def look(arena: Arena) -> str:
        place.append(arena.folder)
        assert os.environ["JOURNEYMAN_ARENA_SECRET"] == arena.secret
        return ""

    await assault(Monty(), [Attack(name="one", group="host", what="something", run=look)])
    assert not place[0].exists()
    assert "JOURNEYMAN_ARENA_SECRET" not in os.environ


class Bare:
    """A backend that contains nothing, so that an attack which works must get out of it."""

    name = "bare"

    async def probe(self) -> Probe:
        return Probe(backend=self.name, available=True)

    async def open(self, spec: Spec) -> Box:
        home = mkdtemp()
        code = "import os, sys; from journeyman.sandbox.inside import supervisor, copies"
        code += "; supervisor.Supervisor(os.dup(0), os.dup(1), copies.Copies(sys.argv[1]), alone=False).serve()"
        process = await anyio.open_process([sys.executable, "-c", code, home], stderr=None)
        box = Box(spec, await self.probe(), BareLine(process, home), self.open)
        await box.begin(seed=None, preload=(), rlimits={}, memory=0)
        return box


class BareLine:
    def __init__(self, process: Process, home: str) -> None:
        assert process.stdin
        assert process.stdout
        self.stream = StapledByteStream(process.stdin, process.stdout)
        self._process, self._home = process, home

    async def end(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

        await self._process.wait()
        rmtree(self._home, ignore_errors=True)

    def oom(self) -> bool:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="attacks are witnessed through /proc")
@pytest.mark.parametrize(
    "name",
    [
        "network", "abstract-socket", "socket-file", "host-files", "environment", "host-processes", "unfiltered",
        "survivor", "open-files", "sparse-file", "cpu-share", "caller-in-proc",
    ],
)  # fmt: skip
async def test_an_attack_gets_out_where_nothing_contains_it(name):
    with arena(Bare()) as place:
        each = next(attack for attack in suite() if attack.name == name)
        assert not (await verdict(each, place)).contained


async def test_what_contains_nothing_is_not_attacked():
    with pytest.raises(SandboxError, match="bare contains nothing"):
        await assault(Bare(), suite())


def attack(*arguments: str) -> tuple[int, dict]:
    done = CliRunner().invoke(app, ["sandbox", "attack", "--json", *arguments], standalone_mode=False)
    return done.return_value or done.exit_code, json.loads(done.stdout)


SOME = (
    "socket-file", "environment", "unfiltered", "system-calls", "fork-bomb", "memory-bombs", "survivor", "path-swap",
    "forged-reply", "find-expected",
)  # fmt: skip
QUICK = tuple(word for name in SOME for word in ("--only", name))


@pytest.mark.parametrize("backend", ["docker"])
def test_a_strong_sandbox_contains_them(backend):
    need(backend)
    code, told = attack("--backend", backend, *QUICK)
    assert [verdict for verdict in told["attacks"] if not verdict["contained"]] == []
    assert (code, [verdict["name"] for verdict in told["attacks"]]) == (0, list(SOME))


def test_an_attack_that_is_not_known_is_refused_with_those_that_are():
    done = subprocess.run(
        [sys.executable, "-m", "journeyman", "sandbox", "attack", "--only", "nonsense"],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=50,
    )
    assert (done.returncode, "no attack nonsense" in done.stderr, "fork-bomb" in done.stderr) == (2, True, True)


def test_doctor_says_what_was_tried_and_what_auto_takes():
    done = CliRunner().invoke(app, ["sandbox", "doctor", "--json"], standalone_mode=False)
    told = json.loads(done.stdout)
    monty = next(probe for probe in told["backends"] if probe["backend"] == "monty")
    assert monty["available"]
    assert all(monty["guarantees"].values())
    assert told["auto"] in {probe["backend"] for probe in told["backends"] if probe["available"]}


def test_doctor_refuses_when_nothing_is_good_enough(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "journeyman", "sandbox", "doctor", "--min-isolation", "4", "--json"],
        env={**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock", "JOURNEYMAN_HOME": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=50,
    )
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["kind"], bool(error["fix"])) == (8, "sandbox", True)
    assert error["message"].startswith("no sandbox gives isolation level 4 here (")
