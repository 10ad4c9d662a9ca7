from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeyman.verifiers import answer
from journeyman.verifiers.case import Called, Case
from journeyman.verifiers.score import Score

add = Called(step=1, tool="python.add", arguments={}, status="ok", text="5")


def said(text: str, *calls: Called) -> Case:
    return Case(prompt="?", answer=text, calls=calls)


def test_a_right_number_scores_one_and_shows_what_was_compared():
    assert answer.numeric(said("1579"), expected="1579") == Score(value=1.0, evidence="'1579' against 1579")


def test_a_wrong_number_scores_zero():
    assert answer.numeric(said("1578"), expected="1579").value == 0


@pytest.mark.parametrize(
    "text",
    [
        "37 * 43 - 12 = 1579",
        "The product of 37 and 43 less 12 is **1579**.",
        "1579 is it",
        "1,579",
        " 1579.",
        "The answer is 1579.",
        "1579.0",
        "3158/2",
        "1579 bytes",
        "1.579e3",
        "1579.0000001",
    ],
)
def test_a_number_may_be_written_in_many_ways(text):
    assert answer.numeric(said(text), expected="1579").value == 1


@pytest.mark.parametrize(
    "text", ["", "no idea", "-1579", "157.9", "15791", "x1579", "1578 or 1579", "1579 or 1578", "1579/0", "1579\n12"]
)
def test_something_else_is_not_that_number(text):
    assert answer.numeric(said(text), expected="1579").value == 0


def test_a_minus_sign_from_typography_counts():
    assert answer.numeric(said("\N{MINUS SIGN}3.5"), expected="-7/2").value == 1


def test_a_fraction_counts_before_its_rounded_decimals():
    assert answer.numeric(said("17/3 (5.666666666666667)"), expected="17/3").value == 1


def test_an_expected_answer_that_is_no_number_is_a_fault_of_the_task():
    with pytest.raises(ValueError, match="no number"):
        answer.numeric(said("1"), expected="one")


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
    assert answer.numeric(said(text), expected="5").value in {0, 1}
    assert answer.exact(said(text), expected=text).value == 1
    assert answer.talk(said(text, add)).value == 0


@pytest.mark.parametrize("text", ["maria lopez", ' "Maria Lopez". ', "Maria Lopez\n", "'Maria Lopez'"])
def test_quotes_case_and_a_full_stop_do_not_matter(text):
    assert answer.exact(said(text), expected="Maria Lopez").value == 1


def test_more_than_the_value_is_not_exact_but_contains_it():
    text = "It is Maria Lopez, I think"
    assert (
        answer.exact(said(text), expected="Maria Lopez").value,
        answer.contains(said(text), expected="Maria Lopez").value,
    ) == (0, 1)


def test_a_part_of_a_word_is_not_contained():
    assert answer.contains(said("Wrote notes.txt.bak2"), expected="otes.txt").value == 0


@pytest.mark.parametrize(
    ("text", "score"),
    [("I could not find notes.txt.", 1), ("That was denied.", 1), ("12", 0), ("Wrote notes.txt.", 0), ("not " * 50, 0)],
)
def test_a_refusal_says_so_and_little_else(text, score):
    assert answer.refusal(said(text)).value == score


def test_talk_is_words_without_calls():
    assert (answer.talk(said("Hello!")).value, answer.talk(said("")).value, answer.talk(said("Hello!", add)).value) == (
        1,
        0,
        0,
    )


def test_an_answer_that_recites_everything_does_not_contain_the_expected_one():
    everything = " ".join(f"word{n}" for n in range(100)) + " Maria Lopez"
    assert answer.contains(said(everything), expected="Maria Lopez").value == 0


def test_one_of_several_texts_is_enough():
    assert answer.exact(said("H2O"), expected=["water", "h2o"]).value == 1


@pytest.mark.parametrize(
    "text", ["B", "(B)", "The answer is B.", "Not A) but **B**", "answer: b", "A would be wrong.\nB"]
)
def test_a_choice_is_the_last_letter_that_stands_alone(text):
    assert answer.choice(said(text), expected="B").value == 1


@pytest.mark.parametrize("text", ["", "Because", "A", "B or A.", "a bee"])
def test_another_letter_or_none_is_not_the_choice(text):
    assert answer.choice(said(text), expected="B").value == 0
