import os
import signal
import time

import anyio

from journeyman.verifiers.case import Case
from journeyman.verifiers.check import Check, verifier
from journeyman.verifiers.desk import Desk
from journeyman.verifiers.score import Score

CASE = Case(prompt="2+3?", answer="5")


@verifier("honest/1")
def honest(case: Case, *, expected: str) -> Score:
    return Score.of(case.answer == expected, str(os.getpid()))


@verifier("slow/1")
def slow(case: Case) -> Score:
    time.sleep(60)
    return Score.of(1)


@verifier("dead/1")
def dead(case: Case) -> Score:
    os.kill(os.getpid(), signal.SIGSEGV)
    return Score.of(1)


@verifier("noisy/1")
def noisy(case: Case) -> Score:
    print('{"value": 1.0}')  # noqa: T201 - on purpose
    return Score.of(0, os.environ.get("SECRET", "none"))


@verifier("leaky/1")
def leaky(case: Case) -> Score:
    Case.__name__ += "!"
    return Score.of(Case.__name__ == "Case!", Case.__name__)


def check(name: str, **parameters: str) -> Check:
    return Check(verifier=f"{__name__}:{name}", parameters=dict(parameters))


async def test_each_check_is_done_in_a_process_of_its_own():
    async with Desk(1) as desk:
        one, two = await desk.verify([check("honest", expected="5"), check("honest", expected="6")], CASE)

    assert (one.value, two.value, one.verifier) == (1, 0, "honest/1")
    assert len({one.evidence, two.evidence, str(os.getpid())}) == 3


async def test_a_verifier_that_dies_or_takes_too_long_judges_nothing():
    async with Desk(1, seconds=2) as desk:
        scores = await desk.verify([check("slow"), check("dead"), check("honest", expected="5")], CASE)

    assert scores[:2] == [
        Score(status="timeout", verifier="slow/1", evidence="took more than 2 s"),
        Score(status="error", verifier="dead/1", evidence="the verifier's process died"),
    ]
    assert scores[2].value == 1


async def test_what_a_verifier_prints_is_no_score_and_our_keys_are_not_its(monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    async with Desk(1) as desk:
        scores = await desk.verify([check("noisy")], CASE)

    assert scores == [Score(value=0.0, verifier="noisy/1", evidence="none")]


async def test_what_a_verifier_breaks_is_whole_again_for_the_next():
    async with Desk(1) as desk:
        scores = await desk.verify([check("leaky"), check("leaky")], CASE)

    assert [score.evidence for score in scores] == ["Case!", "Case!"]


async def test_many_are_judged_at_once():
    async with Desk(2) as desk:
        found: list[float | None] = []

        async def one(expected: str) -> None:
            found.extend(score.value for score in await desk.verify([check("honest", expected=expected)], CASE))

        async with anyio.create_task_group() as tasks:
            for n in range(10):
                tasks.start_soon(one, str(n))

    assert sorted(found, key=str) == [0.0] * 9 + [1.0]
