from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeyman.verifiers import answer
from journeyman.verifiers.score import Score


def test_a_right_number_scores_one_and_shows_what_was_compared():
    assert answer.numeric("1579", "1579") == Score(value=1.0, verifier="numeric/1", evidence="'1579' against 1579")


def test_a_wrong_number_scores_zero():
    assert answer.numeric("1578", "1579").value == 0


def test_no_answer_is_not_a_wrong_answer():
    expected = Score(value=None, status="not_applicable", verifier="numeric/1", evidence="there is no answer")
    assert answer.numeric(None, "1579") == expected
    assert [answer.exact(None, "a").value, answer.contains(None, "a").value, answer.refusal(None).value] == [None] * 3
    assert answer.talk(None, ()).value is None


@pytest.mark.parametrize(
    "text",
    ["1,579", " 1579.", "The answer is 1579.", "1579.0", "3158/2", "1579 bytes", "1.579e3", "1579.0000001"],
)
def test_a_number_may_be_written_in_many_ways(text):
    assert answer.numeric(text, "1579").value == 1


@pytest.mark.parametrize("text", ["", "no idea", "-1579", "157.9", "15791", "x1579", "1578 or 1579", "1579/0"])
def test_something_else_is_not_that_number(text):
    assert answer.numeric(text, "1579").value == 0


def test_a_minus_sign_from_typography_counts():
    assert answer.numeric("\N{MINUS SIGN}3.5", "-7/2").value == 1


def test_a_fraction_counts_before_its_rounded_decimals():
    assert answer.numeric("17/3 (5.666666666666667)", "17/3").value == 1


def test_an_expected_answer_that_is_no_number_is_a_fault_of_the_task():
    with pytest.raises(ValueError, match="no number"):
        answer.numeric("1", "one")


def test_a_huge_exponent_is_not_written_out():
    assert answer.number("1e999999999") is None


@given(st.integers())
def test_every_integer_is_read_back(value):
    assert answer.number(f"{value:,}") == answer.number(str(value)) == value


@given(st.fractions(max_denominator=10**6))
def test_every_fraction_is_read_back(value):
    assert answer.number(str(value)) == Fraction(value)


@given(st.text())
def test_any_text_can_be_judged(text):
    assert answer.numeric(text, "5").value in {0, 1}
    assert answer.exact(text, text).value == 1
    assert answer.talk(text, ["add"]).value == 0


@pytest.mark.parametrize("text", ["maria lopez", ' "Maria Lopez". ', "Maria Lopez\n", "'Maria Lopez'"])
def test_quotes_case_and_a_full_stop_do_not_matter(text):
    assert answer.exact(text, "Maria Lopez").value == 1


def test_more_than_the_value_is_not_exact_but_contains_it():
    said = "It is Maria Lopez, I think"
    assert (answer.exact(said, "Maria Lopez").value, answer.contains(said, "Maria Lopez").value) == (0, 1)


def test_a_part_of_a_word_is_not_contained():
    assert answer.contains("Wrote notes.txt.bak2", "otes.txt").value == 0


@pytest.mark.parametrize(
    ("said", "score"),
    [("I could not find notes.txt.", 1), ("That was denied.", 1), ("12", 0), ("Wrote notes.txt.", 0), ("not " * 50, 0)],
)
def test_a_refusal_says_so_and_little_else(said, score):
    assert answer.refusal(said).value == score


def test_talk_is_words_without_calls():
    assert (answer.talk("Hello!", ()).value, answer.talk("", ()).value, answer.talk("Hello!", ["add"]).value) == (
        1,
        0,
        0,
    )
