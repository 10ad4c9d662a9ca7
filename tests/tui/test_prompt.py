import pytest
from textual import events

from journeyman.home import state_dir
from journeyman.tui.choice import Choice
from journeyman.tui.copying import copy
from journeyman.tui.items import Note, Said
from journeyman.tui.palette import THEMES
from tests.tui.screen import alone, shown, until
from tests.tui.test_transcript import TALK


async def test_commands_are_completed_after_a_slash():
    async with alone() as (app, pilot):
        await pilot.press(*"/mod")
        await pilot.pause()
        assert "/model" in shown(app)
        await pilot.press("tab")
        await pilot.pause()
        assert app.chat.prompt.text == "/model "


async def test_files_are_completed_after_an_at_sign():
    async with alone() as (app, pilot):
        await pilot.press(*"read @pyproj")
        await until(pilot, lambda: "pyproject.toml" in shown(app))
        await pilot.press("tab")
        await pilot.pause()
        assert app.chat.prompt.text == "read @pyproject.toml "


async def test_a_space_typed_behind_a_completed_file_is_not_a_second_one():
    async with alone() as (app, pilot):
        await pilot.press(*"is @pyproj")
        await until(pilot, lambda: "pyproject.toml" in shown(app))
        await pilot.press("tab", *" long?")
        assert app.chat.prompt.text == "is @pyproject.toml long?"


async def test_enter_takes_what_is_written_then_and_no_offer_from_before():
    async with alone() as (app, pilot):
        await pilot.press("/")
        await until(pilot, lambda: app.chat.prompt.offering)
        for key in ("n", "o", "s", "u", "c", "h", "enter"):  # all at once
            app.post_message(events.Key(key, None if key == "enter" else key))

        await until(pilot, lambda: app.chat.transcript.items)
        assert app.chat.transcript.items == [Note("warning", "There is no /nosuch. F1 lists what there is.")]
        assert app.screen is app.chat


async def test_what_was_said_comes_back_and_so_does_what_was_being_written():
    async with alone() as (app, pilot):
        app.chat.prompt.remember("first")
        app.chat.prompt.remember("second")
        app.chat.prompt.set("draft")
        said = []
        for key in ("up", "up", "down", "down"):
            await pilot.press(key)
            said.append(app.chat.prompt.text)

        assert said == ["second", "first", "second", "draft"]


async def test_letters_typed_over_the_transcript_are_for_the_prompt():
    async with alone() as (app, pilot):
        app.chat.transcript.focus()
        await pilot.press("h", "i")
        assert app.chat.prompt.text == "hi"


async def test_ctrl_c_says_first_that_it_would_quit(monkeypatch):
    async with alone() as (app, pilot):
        told = []
        monkeypatch.setattr(app, "notify", lambda text, **_: told.append(text))
        await pilot.press("ctrl+c")
        assert (told, app._exit) == (["ctrl+c again to quit"], False)
        await pilot.press("ctrl+c")
        assert app._exit


async def test_keys_can_be_other_ones():
    async with alone(choice=Choice(keys={"app.help": "f9"})) as (app, pilot):
        await pilot.press("f9")
        await pilot.pause()
        assert "Keys and commands" in shown(app)
        assert "f9" in shown(app)


@pytest.mark.parametrize("theme", [*(theme.name for theme in THEMES), "ansi-dark", "ansi-light", "textual-light"])
async def test_every_theme_shows_the_same_words(theme):
    async with alone((80, 40)) as (app, pilot):
        app.chat.transcript.load(TALK)
        await pilot.pause()
        before = shown(app)
        app.do("theme", theme)
        await pilot.pause()
        assert app.theme == theme
        assert shown(app) == before


def test_a_copy_says_where_it_went_and_is_in_a_file(monkeypatch):
    monkeypatch.setenv("PATH", "")
    sent = []
    told = copy("the text", sent.append)
    file = state_dir() / "copied.txt"
    assert told == f"Sent to the terminal, which may ignore it; also in {file}"
    assert (file.read_text("utf-8"), sent) == ("the text", ["the text"])
    assert file.stat().st_mode & 0o777 == 0o600


async def test_the_newest_answer_is_copied(monkeypatch):
    monkeypatch.setenv("PATH", "")
    async with alone() as (app, pilot):
        app.chat.transcript.load([Said("assistant", "first"), Said("assistant", "the **newest**"), Said("user", "?")])
        await pilot.press("ctrl+y")
        await pilot.pause()
        assert (state_dir() / "copied.txt").read_text("utf-8") == "the **newest**"
