"""Strategies as they are written."""

import pytest

from journeyman.agent.strategies.spec import strategy
from journeyman.errors import UsageError


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "vote(8)",
        "vote(5, of=refine)",
        "best(4, by=judge)",
        "route(low=cot, high=vote(3), by=likelihood, at=0.8)",
        "on('openai:x', of=cot)",
    ],
)
def test_a_strategy_is_written_as_it_is_read(text):
    assert strategy(str(strategy(text))) == strategy(text)


def test_a_strategy_without_a_name_is_what_the_others_are_made_of():
    assert strategy("vote(cot, 3)") == strategy("vote(3, of=cot)")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("vote(3", "'vote(3' is no strategy: its brackets do not match."),
        ("vote 3", "'vote 3' is no strategy."),
        ("vote(3)(2)", "'vote(3)(2)' is no strategy."),
        ("nope", "There is no strategy 'nope'."),
        ("vote(1, 2, 3, 4)", "vote takes no more arguments than 3."),
        ("no_switch(3, window=-1)", "no_switch: window: Input should be greater than or equal to 1."),
        ("best(by=nobody)", "best: by: Input should be 'verifier', 'judge', 'process' or 'likelihood'."),
    ],
)
def test_what_is_wrong_with_one_is_said(text, told):
    with pytest.raises(UsageError) as caught:
        strategy(text)

    assert str(caught.value) == told
