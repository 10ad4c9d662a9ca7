import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeyman.safe import safe, shown_call


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ünïcode, 日本語, \\n stays", "plain text, ünïcode, 日本語, \\n stays"),
        ("\x1b[31mred", "⟪U+001B⟫[31mred"),
        ("a\r\nb", "a⟪U+000D⟫⏎b"),
        ("\x9b2J", "⟪U+009B⟫2J"),
        ("user\u202etxt.exe", "user⟪U+202E⟫txt.exe"),
        ("a\u200bb\u00a0c\u3164", "a⟪U+200B⟫b⟪U+00A0⟫c⟪U+3164⟫"),
        ("\udc80", "⟪U+DC80⟫"),
        ("⟪U+001B⟫ ⏎", "⟪U+27EA⟫U+001B⟫ ⟪U+23CE⟫"),
        ("tab\t", "tab⟪U+0009⟫"),
    ],
)
def test_what_would_act_or_hide_is_spelled_out(text, shown):
    assert safe(text) == shown


def test_lines_are_kept_where_there_is_room_for_them():
    assert safe("a\nb\x07", lines=True) == "a\nb⟪U+0007⟫"


def test_what_is_cut_is_counted_in_bytes():
    assert safe("aé日本", 2) == "aé … +6 bytes"
    assert safe("ab", 2) == "ab"
    assert safe("x" * 5000, None) == "x" * 5000


@given(st.text(), st.text())
def test_different_texts_never_look_the_same(one, other):
    assert (safe(one, None) == safe(other, None)) == (one == other)


@given(st.text(alphabet=st.characters()), st.booleans())
def test_nothing_invisible_is_left(text, lines):
    shown = safe(text, None, lines=lines)
    assert not [
        char
        for char in shown
        if unicodedata.category(char)[0] in "CZ" and char not in ({" ", "\n"} if lines else {" "})
    ]
    shown.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("p\u0430ypal.com", "p⟪U+0430⟫ypal.com"),
        ("\u0430\u0440\u0440\u04cf\u0435", "⟪U+0430⟫⟪U+0440⟫⟪U+0440⟫⟪U+04CF⟫⟪U+0435⟫"),
        ("\u043f\u0440\u0438\u0432\u0435\u0442 world", "\u043f\u0440\u0438\u0432\u0435\u0442 world"),
        ("\u03b1\u03b2\u03b3 and a", "\u03b1\u03b2\u03b3 and a"),
        ("\uff0e\uff0e\uff0fetc", "⟪U+FF0E⟫⟪U+FF0E⟫⟪U+FF0F⟫etc"),
        ("\U0001d41a 10 m\u00b2 na\u00efve caf\u00e9", "⟪U+1D41A⟫ 10 m\u00b2 na\u00efve caf\u00e9"),
        ("[@click=app.approve]yes[/]", "[@click=app.approve]yes[/]"),
    ],
)
def test_letters_that_pass_for_others_are_spelled_out_and_languages_are_not(text, shown):
    assert safe(text) == shown


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
CALLS = st.tuples(st.text(), st.dictionaries(st.text(), VALUES))


@given(CALLS, CALLS)
def test_different_calls_never_look_the_same(one, other):
    canonical = [json.dumps([tool, list(given.items())]) for tool, given in (one, other)]
    assert (shown_call(*one) == shown_call(*other)) == (canonical[0] == canonical[1])


@given(CALLS)
def test_a_call_is_shown_without_anything_invisible(call):
    assert not [
        char for line in shown_call(*call) for char in line if unicodedata.category(char)[0] in "CZ" and char != " "
    ]


def test_a_text_cannot_pass_for_another_argument():
    assert shown_call("mail.send", {"body": 'hi\n  "to" = bob', "n": 3}) == [
        "mail.send",
        '  "body" = hi',
        '  |   "to" = bob',
        '  "n" := 3',
    ]
