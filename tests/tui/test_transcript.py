from inline_snapshot import snapshot

from journeyman.tui.feed import items_of
from journeyman.tui.items import Card, Edit, Note, Planned, Said, Thought
from tests.tui.screen import alone, shown

CARD = Card(
    "c1",
    "files.read",
    'path="notes.txt"',
    full=("files.read", '  "path" = notes.txt'),
    status="ok",
    effect="allow",
    rules=("readers",),
    reason="it reads inside the folder",
    output="one\ntwo\nthree\nfour\nfive",
    seconds=0.012,
)
WRITTEN = Card(
    "c2",
    "files.edit",
    'path="a.py"',
    status="ok",
    effect="ask",
    output="edited a.py",
    seconds=2.5,
    edits=(Edit("a.py", "a = 1\nb = 2\n", "a = 1\nb = 3\nc = 4\n"),),
)
TALK = [
    Said("user", "How many lines?"),
    Thought("I should look at the file before I answer.", 3.2),
    CARD,
    WRITTEN,
    Card("c3", "mail.send", 'to="a@b.org"', status="denied", effect="deny", rules=("no-mail",), output="denied: no"),
    Planned((("done", "Look"), ("active", "Count"), ("pending", "Answer"))),
    Said("assistant", "**Five** lines, see `notes.txt`."),
    Note("warning", "budget: 80 % of 40 steps used"),
]
INNER = CARD._replace(call_id="c1.1", parent="c1")
LONG = [Said("user" if at % 2 else "assistant", f"item {at}\n\nand more of it") for at in range(500)]


def seen(transcript):
    """The rows that are on the screen."""
    top = transcript.scroll_offset.y
    return [transcript.strip_at(row).text for row in range(top, top + transcript.size.height)]


async def test_what_was_said_and_done_stands_in_order():
    async with alone((80, 32)) as (app, pilot):
        app.chat.transcript.load(TALK)
        await pilot.pause()
        assert shown(app) == snapshot("""\
 ❯ How many lines?

   ▸ thought · ~10 tokens · 3.2 s

   ● files.read  path="notes.txt"                       allow · 12 ms · 23 B
     │ one
     │ two
     │ three
     │ … +2 lines
   ● files.edit  path="a.py"                              ask · 2.5 s · 11 B
        1   a = 1
        2 - b = 2
        2 + b = 3
        3 + c = 4
     │ edited a.py
   ⊘ mail.send  to="a@b.org"                                     deny · 10 B
     │ denied: no

   ✓ Look
   ▸ Count
   ○ Answer

   Five lines, see notes.txt.

   budget: 80 % of 40 steps used





  Ask for something. / commands, @ files, ! shell, F1 help
 ● starting\
""")


async def test_at_forty_columns_nothing_breaks():
    async with alone((40, 12)) as (app, pilot):
        app.chat.transcript.load(TALK)
        await pilot.pause()
        assert shown(app) == snapshot("""\
   ⊘ mail.send  to="a@b.org"  denied
     │ denied: no

   ✓ Look
   ▸ Count
   ○ Answer

   Five lines, see notes.txt.

   budget: 80 % of 40 steps used
  Ask for something. / commands, @
 ● starting\
""")


async def test_an_unfolded_call_shows_its_arguments_the_rule_and_all_that_came():
    async with alone((80, 24)) as (app, pilot):
        app.chat.transcript.load([CARD])
        await pilot.press("ctrl+up", "ctrl+o")
        await pilot.pause()
        assert shown(app) == snapshot("""\
 ▌ ● files.read  path="notes.txt"                       allow · 12 ms · 23 B
       "path" = notes.txt
     allow: it reads inside the folder (readers)
     │ one
     │ two
     │ three
     │ four
     │ five














  Ask for something. / commands, @ files, ! shell, F1 help
 ● starting\
""")
        await pilot.press("ctrl+o")
        await pilot.pause()
        assert "five" not in shown(app)


async def test_a_call_that_a_call_made_stands_indented_below_it():
    async with alone((80, 12)) as (app, pilot):
        app.chat.transcript.load([CARD._replace(output="5"), INNER._replace(output="1\n2"), WRITTEN._replace(edits=())])
        await pilot.pause()
        assert shown(app).partition("\n\n")[0] == snapshot("""\
   ● files.read  path="notes.txt"                        allow · 12 ms · 1 B
     │ 5
     ● files.read  path="notes.txt"                      allow · 12 ms · 3 B
       │ 1
       │ 2
   ● files.edit  path="a.py"                              ask · 2.5 s · 11 B
     │ edited a.py\
""")


def test_a_call_is_put_below_the_one_that_made_it_only_where_it_stands_right_there():
    def call(call_id, parent=""):
        ours = {"tool": "a.b", **({"parent": parent} if parent else {})}
        return {"sessionUpdate": "tool_call", "toolCallId": call_id, "_meta": {"journeyman": ours}}

    calls = [call("c1"), call("c1.1", "c1"), call("c1.2", "c1"), call("c2"), call("c1.3", "c1"), call("c2.1", "c2")]
    items, _ = items_of(calls)
    assert [(item.call_id, item.parent) for item in items if isinstance(item, Card)] == [
        ("c1", ""),
        ("c1.1", "c1"),
        ("c1.2", "c1"),
        ("c2", ""),
        ("c1.3", ""),
        ("c2.1", ""),
    ]


async def test_thoughts_are_one_line_until_they_are_unfolded():
    async with alone((80, 40)) as (app, pilot):
        app.chat.transcript.load(TALK)
        await pilot.pause()
        assert "I should look" not in shown(app)
        await pilot.press("ctrl+t")
        await pilot.pause()
        assert "I should look" in shown(app)


async def test_it_stays_at_the_end_while_it_grows_and_where_the_reader_is_otherwise():
    async with alone() as (app, pilot):
        transcript = app.chat.transcript
        transcript.load(LONG)
        await pilot.pause()
        transcript.add(Said("user", "the newest"))
        await pilot.pause()
        assert "the newest" in shown(app)
        await pilot.press("pageup", "pageup")
        await pilot.pause()
        before = seen(transcript)
        transcript.add(Said("user", "another"))
        await pilot.pause()
        assert seen(transcript) == before


async def test_scrolling_up_passes_every_line_once():
    async with alone((80, 20)) as (app, pilot):
        transcript = app.chat.transcript
        said = ("\n\n".join(f"{at}.{line}" for line in range(at % 7 + 1)) for at in range(60))
        transcript.load([Said("assistant", text) for text in said])
        await pilot.pause()
        seen = []
        while transcript.scroll_offset.y:
            seen.append(transcript.strip_at(transcript.scroll_offset.y).text.strip())
            transcript.action_scroll_up()

        lines = [line for line in reversed(seen) if line]
        everything = [f"{at}.{line}" for at in range(60) for line in range(at % 7 + 1)]
        assert lines == everything[everything.index(lines[0]) : everything.index(lines[-1]) + 1]
        assert lines[0] in {"0.0", "1.0"}


async def test_older_items_come_before_and_the_reader_does_not_move():
    async with alone() as (app, pilot):
        transcript = app.chat.transcript
        transcript.load(LONG[400:])
        await pilot.press("pageup", "pageup", "pageup")
        await pilot.pause()
        before = seen(transcript)
        transcript.prepend(LONG[:400])
        await pilot.pause()
        assert seen(transcript) == before
        await pilot.press("ctrl+home")
        await pilot.pause()
        assert "item 0" in shown(app)


async def test_a_narrower_screen_wraps_anew_and_keeps_the_place():
    async with alone((100, 24)) as (app, pilot):
        transcript = app.chat.transcript
        transcript.load([Said("user", f"item {at} " + "word " * 30) for at in range(200)])
        await pilot.press(*["pageup"] * 4)
        await pilot.pause()
        place, _ = transcript._heights.find(transcript.scroll_offset.y)
        await pilot.resize_terminal(50, 24)
        await pilot.pause()
        assert max(map(len, shown(app).splitlines())) <= 50
        assert transcript._heights.find(transcript.scroll_offset.y)[0] == place


async def test_what_is_streamed_is_shown_as_it_comes_and_ends_as_markdown():
    async with alone() as (app, pilot):
        transcript = app.chat.transcript
        for piece in ("Think", "ing of it"):
            transcript.stream(Thought, piece)

        transcript._flush()
        await pilot.pause()
        assert "thinking" in shown(app)
        assert "Thinking of it" in shown(app)
        for piece in ("The **ans", "wer** is\n\n- fi", "ve\n"):
            transcript.stream(Said, piece)

        transcript.close()
        await pilot.pause()
        thought, said = transcript.items
        assert isinstance(thought, Thought)
        assert thought == Thought("Thinking of it", thought.seconds)
        assert said == Said("assistant", "The **answer** is\n\n- five\n")
        assert "• five" in shown(app)
        assert not transcript._since


async def test_a_hundred_thousand_items_are_laid_out_no_further_than_the_screen():
    async with alone() as (app, pilot):
        app.chat.transcript.load([Said("user", f"item {at}") for at in range(100_000)])
        await pilot.press("pageup")
        await pilot.pause()
        assert len(app.chat.transcript._laid) < 200
        assert "item 999" in shown(app)


async def test_a_click_unfolds_a_call():
    async with alone() as (app, pilot):
        app.chat.transcript.load([CARD])
        await pilot.click(app.chat.transcript, offset=(6, 0))
        await pilot.pause()
        assert "five" in shown(app)


async def test_selected_text_is_what_stands_there():
    async with alone() as (app, pilot):
        app.chat.transcript.load([Said("user", "first words"), Said("user", "second words")])
        await pilot.pause()
        app.chat.transcript.text_select_all()
        await pilot.pause()
        assert app.screen.get_selected_text() == "❯ first words\n\n❯ second words"
