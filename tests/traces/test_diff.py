from journeyman.traces.diff import Difference, diff
from journeyman.traces.events import RunResumed
from tests.traces.runs import WHOLE, answer, started, step


def renamed(events):
    """The same run with other names of calls and other times."""
    return [
        type(event).model_validate_json(event.model_dump_json().replace('"c1"', '"call_x"').replace("0.5", "0.7"))
        for event in events
    ]


def test_names_of_calls_times_and_prices_are_no_difference() -> None:
    assert diff(WHOLE, renamed(WHOLE)) == Difference(events=10, step=2)


def test_runs_part_at_the_first_thing_that_differs() -> None:
    other = [started(), *step(result="4"), *answer()]

    assert diff(WHOLE, other) == Difference(events=6, step=1, left=6, right=6)


def test_a_run_that_goes_on_longer_differs_where_the_other_ends() -> None:
    assert diff(WHOLE, WHOLE[:-1]) == Difference(events=9, step=2, left=9, right=None)
    assert not diff(WHOLE, WHOLE[:-1]).same


def test_how_a_run_was_set_up_is_told_beside_what_it_did() -> None:
    other = [started(model="local:other", root="/elsewhere"), *WHOLE[1:]]

    assert diff(WHOLE, other) == Difference(events=10, step=2, setup=("model", "root"))


def test_a_fork_is_compared_by_what_it_does_not_by_being_one() -> None:
    fork = [*WHOLE[:7], started(parent="r", parent_seq=7), RunResumed(), *WHOLE[7:]]

    assert diff(WHOLE, fork).same
