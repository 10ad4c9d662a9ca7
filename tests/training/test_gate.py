import pytest

from journeyman.training.gate import Verdict, paired, verdict


def tries(*values: int) -> dict[str, bool]:
    return {f"t{n:02}": bool(value) for n, value in enumerate(values)}


NONE = tries(*[0] * 20)
SOME = tries(*[1] * 10, *[0] * 10)
FEW = tries(1, 1, *[0] * 18)


def test_only_tasks_that_changed_count_in_a_pair():
    found = paired(tries(1, 1, 0, 0, 1), tries(1, 0, 1, 1, 1))
    assert (found.tasks, found.before, found.after) == (5, 0.6, 0.8)
    assert (found.gained, found.lost, found.p) == (("t02", "t03"), ("t01",), 1.0)


def test_the_test_is_exact():
    assert paired(NONE, SOME).p == pytest.approx(2 / 2**10)
    assert paired(NONE, NONE).p == 1.0


def test_a_gain_that_luck_could_make_is_not_promoted():
    assert verdict(paired(NONE, FEW), None, {}) == Verdict(
        promote=False, reasons=("held-out not surely better: 0% -> 10% (p = 0.5)",)
    )


def test_a_sure_gain_is_promoted():
    assert verdict(paired(NONE, SOME), paired(SOME, SOME), {"random": paired(NONE, FEW)}) == Verdict(
        promote=True,
        reasons=(
            "held-out better: 0% -> 50% (p = 0.002)",
            "regression suite no worse: 50% -> 50%",
            "control random flat: 0% -> 10%",
        ),
    )


def test_older_skills_that_are_lost_forbid_it():
    lost = paired(SOME, tries(*[1] * 8, *[0] * 12))
    assert not verdict(paired(NONE, SOME), lost, {}).promote


def test_a_gain_that_meaningless_rewards_give_too_is_not_the_rewards():
    assert not verdict(paired(NONE, SOME), None, {"format": paired(NONE, SOME)}).promote


def test_a_control_that_gains_less_is_told_and_does_not_forbid_it():
    found = verdict(paired(NONE, SOME), None, {"format": paired(NONE, tries(*[1] * 8, *[0] * 12))})
    assert found.promote
    assert found.reasons[-1] == "control format not flat, but beaten: 0% -> 40%"


def test_a_control_that_could_not_be_trained_shows_nothing():
    found = verdict(paired(NONE, SOME), None, {"random": paired(NONE, FEW), "format": None})
    assert not found.promote
    assert found.reasons[-1] == "control format could not be trained, so nothing shows that the gain is the rewards'"


def test_the_interval_holds_the_difference():
    found = paired(NONE, SOME)
    assert found.low < 0.5 < found.high
