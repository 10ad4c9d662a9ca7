"""The suite itself; what each sandbox withstands is in docs/security/sandbox-attacks.md, which CI checks."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from journeyman.cli.app import app
from journeyman.cli.sandbox import suite
from journeyman.sandbox.attacks.attack import Arena, Attack, Escaped, assault
from journeyman.sandbox.monty import Monty
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


async def test_nothing_of_the_arena_is_left_behind():
    place = []

    async def look(arena: Arena) -> str:
        place.append(arena.folder)
        assert os.environ["JOURNEYMAN_ARENA_SECRET"] == arena.secret
        return ""

    await assault(Monty(), [Attack(name="one", group="host", what="something", run=look)])
    assert not place[0].exists()
    assert "JOURNEYMAN_ARENA_SECRET" not in os.environ


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


def test_doctor_refuses_when_nothing_is_good_enough():
    done = subprocess.run(
        [sys.executable, "-m", "journeyman", "sandbox", "doctor", "--min-isolation", "4", "--json"],
        env={**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=50,
    )
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["kind"], bool(error["fix"])) == (8, "sandbox", True)
    assert error["message"].startswith("no sandbox gives isolation level 4 here (")
