from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from journeyman.tui.line import plain, width_of
from journeyman.tui.markdown import Markdown, render

TEXT = """# What I found

Some *emphasis*, **bold** and `code`, and a [link](http://example.org/a) that says where it leads.

- one
- two, with more words than fit on one line of this width
  - nested
- three

1. first
10. tenth

> quoted
> on two lines

```python
def f(x):
    return x + 1  # more
```

| a | b |
|---|--:|
| 1 | two words |
| a longer cell than the others | 4 |

Computed the answer
---
the end
"""
PIECES = st.lists(
    st.sampled_from(
        ["#", "##", " ", "\n", "\n\n", "-", "- ", "1. ", "|", "|--|", "```", "`", "*", "**", "a", "word ", ">"]
    ),
    max_size=40,
)


def test_a_whole_text_is_laid_out():
    assert "\n".join(plain(line) for line in render(TEXT, 44)) == snapshot("""\
What I found

Some emphasis, bold and code, and a link
(http://example.org/a) that says where it
leads.

• one
• two, with more words than fit on one line
  of this width
  ◦ nested
• three

1. first
10. tenth

▎ quoted on two lines

▏ def f(x):
▏     return x + 1  # more

a                              b
────────────────────────────────────────
1                              two words
a longer cell than the others  4

Computed the answer

────────────────────────────────────────

the end\
""")


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_what_is_streamed_in_any_pieces_ends_as_the_whole(cuts):
    markdown, at = Markdown(44), 0
    for cut in cuts:
        markdown.feed(TEXT[at : at + cut])
        at += cut
        markdown.lines()

    markdown.feed(TEXT[at:])
    assert markdown.lines(ended=True) == render(TEXT, 44)


@given(PIECES)
def test_only_the_last_block_of_what_grows_may_change(pieces):
    markdown, before = Markdown(30), []
    for piece in pieces:
        markdown.feed(piece)
        markdown.lines()
        assert markdown.done[: len(before)] == before
        before = list(markdown.done)


@given(PIECES, st.integers(10, 60))
def test_no_line_is_wider_than_the_screen(pieces, width):
    assert all(width_of(line) <= width for line in render("".join(pieces), width))


def test_a_line_that_may_become_a_table_or_a_fence_waits():
    markdown = Markdown(40)
    markdown.feed("Numbers:\n\n| a | b")
    assert [plain(line) for line in markdown.lines()] == ["Numbers:"]
    markdown.feed(" |\n|---|---|\n| 1 | 2 |\n")
    assert [plain(line).rstrip() for line in markdown.lines()] == ["Numbers:", "", "a  b", "────", "1  2"]


def test_an_underlined_line_never_becomes_a_heading():
    assert plain(render("Computed the answer\n---\n", 20)[0]) == "Computed the answer"


def test_a_link_says_where_it_leads_and_html_stays_text():
    lines = render("[mine](http://evil.example) <b>x</b>", 60)
    assert [plain(line) for line in lines] == ["mine (http://evil.example) <b>x</b>"]
