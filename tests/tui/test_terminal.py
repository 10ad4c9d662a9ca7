import json
import os
import re
import sys

import pytest

from benchmarks.tui import Terminal
from journeyman.tui.choice import path

COLOUR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")


@pytest.fixture
def terminal(folder):
    """The real command, in a terminal."""
    script = folder.parent / "script.json"
    script.write_text(json.dumps(["There are twelve boats."]), "utf-8")
    command = [sys.executable, "-m", "journeyman", "chat", "-m", f"scripted:{script}", "--root", str(folder)]
    opened = []

    def run(*more: str) -> Terminal:
        opened.append(Terminal([*command, *more], os.environ["JOURNEYMAN_HOME"]))
        assert opened[-1].until(lambda written: b"ready" in written)
        return opened[-1]

    yield run
    for each in opened:
        each.end()


@pytest.mark.parametrize("how", [[], ["--inline"]], ids=["whole screen", "inline"])
def test_a_turn_and_how_to_go_on_with_it(terminal, how):
    running = terminal(*how)
    running.press(b"How many boats?\r")
    assert running.until(lambda written: b"There are twelve boats." in written)
    running.press(b"\x11")
    assert running.until(lambda written: b"resume with: journeyman chat --resume " in written)
    assert (b"\x1b[?1049h" in running.written) is not bool(how)


def test_without_colours_where_none_are_wanted(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    running = terminal()
    running.press(b"How many boats?\r")
    assert running.until(lambda written: b"There are twelve boats." in written)
    assert COLOUR.findall(running.written) == []


def test_settings_that_mean_nothing_are_told_before_anything_is_drawn(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path / "home"))
    path().parent.mkdir(parents=True)
    path().write_text('thema = "dark"\n', "utf-8")
    running = Terminal([sys.executable, "-m", "journeyman", "chat", "--root", str(folder)], str(tmp_path / "home"))
    try:
        assert running.until(lambda written: b"There are theme, mouse, bell, keys." in written)
        assert b"'thema' is no setting of the terminal UI" in running.written
    finally:
        running.end()
