from typing import Any

from journeyman.training.controls import worthless
from journeyman.training.dpo import token_pairs
from journeyman.training.rows import Row, few_of_each, groups_of


def row(*drawn: int, said: tuple[int, ...] = (), more: tuple[int, ...] = (), **about) -> Row:
    """Context 1, 2; then what was drawn; then what a tool said; then what was drawn after it."""
    ids = [1, 2, *drawn, *said, *more]
    mask = [0, 0, *[1] * len(drawn), *[0] * len(said), *[1] * len(more)]
    given: dict[str, Any] = {"group": "b/t", "run_id": str(ids)}
    return Row(ids, mask, **(given | about))


def test_easy_tasks_do_not_drown_the_others():
    rows = [row(n, task="easy") for n in (5, 5, 6, 7)] + [row(5, task="hard")]
    assert [(each.task, each.ids[-1]) for each in few_of_each(rows, 2)] == [("easy", 5), ("easy", 6), ("hard", 5)]


def test_groups_whose_attempts_are_worth_the_same_teach_nothing():
    even = [row(5, group="even", reward=1.0), row(6, group="even", reward=1.0)]
    mixed = [row(5, group="mixed", reward=1.0, run_id="a"), row(6, group="mixed", reward=0.0, run_id="b")]
    assert list(groups_of([*even, *mixed])) == ["mixed"]
    assert list(groups_of([*even, *mixed], even=True)) == ["even", "mixed"]


def test_a_run_of_two_sequences_is_not_counted_twice():
    rows = [row(5, reward=1.0, run_id="a"), row(6, reward=1.0, run_id="a"), row(7, reward=0.0, run_id="b")]
    assert groups_of(rows) == {}


def test_preferences_are_the_turn_in_which_two_attempts_part():
    right = row(5, 6, said=(9,), more=(7, 8), reward=1.0)
    wrong = row(5, 6, said=(9,), more=(7, 4), reward=0.0)
    assert token_pairs({"g": [right, wrong]}) == [
        {"prompt_ids": [1, 2, 5, 6, 9], "chosen_ids": [7, 8], "rejected_ids": [7, 4]}
    ]


def test_where_a_tool_parts_two_attempts_there_is_no_preference():
    right = row(5, said=(9,), more=(7,), reward=1.0)
    wrong = row(5, said=(8,), more=(4,), reward=0.0)
    assert token_pairs({"g": [right, wrong]}) == []


def test_the_right_attempt_is_compared_that_goes_with_the_wrong_one_furthest():
    near, far = row(5, said=(9,), more=(7,), reward=1.0), row(6, reward=1.0)
    wrong = row(5, said=(9,), more=(4,), reward=0.0)
    assert [pair["prompt_ids"] for pair in token_pairs({"g": [far, near, wrong]})] == [[1, 2, 5, 9]]


def test_random_rewards_are_dealt_within_each_group():
    rows = [row(n, reward=float(n < 7), group=f"g{n % 2}", run_id=str(n)) for n in range(10)]
    dealt = worthless("random", rows, set(), 0, seed=3, ranked=True)
    before, after = (
        {g: sorted(r.reward or 0 for r in of if r.group == g) for g in ("g0", "g1")} for of in (rows, dealt)
    )
    assert after == before
    assert {r.run_id: r.reward for r in dealt} != {r.run_id: r.reward for r in rows}


def test_a_control_imitates_as_many_rows_without_a_look_at_their_rewards():
    rows = [row(n, reward=float(n == 0), run_id=str(n)) for n in range(20)]
    random = worthless("random", rows, set(), 5, seed=1, ranked=False)
    formed = worthless("format", rows, {"3", "4"}, 5, seed=1, ranked=False)
    assert len(random) == 5
    assert {each.run_id for each in formed} == {"3", "4"}


def test_the_format_alone_is_rewarded_in_groups():
    rows = [row(n, reward=0.0, run_id=str(n)) for n in range(3)]
    assert [each.reward for each in worthless("format", rows, {"1"}, 0, seed=1, ranked=True)] == [0.0, 1.0, 0.0]
