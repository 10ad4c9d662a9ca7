from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from journeyman.tui.heights import Heights
from journeyman.tui.line import chop, ends, fit, plain, width_of, wrap

WORDS = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), max_size=80)
SPANS = st.lists(st.tuples(WORDS, st.sampled_from(("", "bold"))), max_size=6)


@given(SPANS, st.integers(2, 40))
def test_wrapped_lines_keep_every_letter_and_fit(spans, width):
    lines = wrap(spans, width)
    assert "".join("".join(map(plain, lines)).split()) == "".join("".join(text for text, _ in spans).split())
    assert all(width_of(line) <= width for line in lines)


@given(SPANS, st.integers(2, 40))
def test_chopped_lines_keep_every_character_and_fit(spans, width):
    lines = chop(spans, width)
    assert "".join(map(plain, lines)) == "".join(text for text, _ in spans)
    assert all(width_of(line) <= width for line in lines)


@given(SPANS, st.integers(3, 40))
def test_a_line_that_is_cut_fits_and_says_that_it_was_cut(spans, width):
    line = fit(tuple(spans), width)
    assert width_of(line) <= width
    assert width_of(spans) <= width or plain(line).endswith("…")


def test_wide_letters_count_as_two_cells():
    assert [plain(line) for line in wrap([("日本語日本語", "")], 5)] == ["日本", "語日", "本語"]
    assert cell_len(plain(ends((("日本", ""),), (("x", ""),), 10))) == 10


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 99)), max_size=60))
def test_heights_sum_like_a_list_and_find_what_stands_at_a_row(steps):
    heights, plainly = Heights(), []
    for adds, height, at in steps:
        if adds or not plainly:
            heights.append(height)
            plainly.append(height)
        else:
            heights.set(at % len(plainly), height)
            plainly[at % len(plainly)] = height

    assert heights.total == sum(plainly)
    assert [heights.find(row) for row in range(heights.total)] == [
        (index, offset) for index, height in enumerate(plainly) for offset in range(height)
    ]
