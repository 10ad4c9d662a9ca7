import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeyman.safe import safe


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
