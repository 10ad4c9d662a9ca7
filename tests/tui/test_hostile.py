import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tui import Terminal
from journeyman.safe import prose
from journeyman.tui.items import Question
from tests.tui.corpus import FORBIDDEN, HOSTILE
from tests.tui.screen import alone, shown

SETTING_UP = re.compile(rb"\x1b\]22;\w*\x07|\x1b\[\?[0-9;]*[hlu]|\x1b\[[<>=][0-9;]*u|\x1b\[\?[0-9]+\$p")


@pytest.mark.timeout(120)
def test_in_a_terminal_no_widget_lets_anything_through(tmp_path):
    terminal = Terminal([sys.executable, "-m", "tests.tui.hostile"], str(tmp_path))
    try:
        assert terminal.until(lambda written: b"shown-all" in written or b"Traceback" in written, 100)
        terminal.read(0.2)
    finally:
        terminal.end()

    written = SETTING_UP.sub(b"", terminal.written)
    assert b"Traceback" not in written
    assert [bad for bad in FORBIDDEN if bad in written] == []


@given(st.text() | st.sampled_from(HOSTILE))
def test_prose_has_nothing_that_acts_or_hides_and_keeps_its_lines(text):
    said = prose(text)
    assert not [bad for bad in FORBIDDEN if bad in said.encode("utf-8", "surrogatepass")]
    assert said.isprintable() or set(said) - {char for char in said if char.isprintable()} == {"\n"}
    assert said.count("\n") == text.replace("\r\n", "\n").count("\n")


def test_prose_leaves_letters_of_all_scripts_as_they_are():
    text = "Она пришла.\n日本語\nשלום\nमैं naïve ﬁ"
    assert prose(text) == text


@pytest.mark.parametrize("text", [text for text in HOSTILE if len(text) < 300])
async def test_what_a_call_says_can_neither_be_clicked_nor_answer(text, monkeypatch):
    async with alone((80, 24)) as (app, pilot):
        answered = []
        monkeypatch.setattr(app.chat, "answer", lambda *given, **more: answered.append((given, more)))
        fake = ("y yes   n no", "[@click=app.quit]y[/]", "\x1b[2J", text)
        app.chat.show_question(Question("q", "c1", "mail.send", tuple(map(prose, fake)), "{}"))
        await pilot.pause()
        call = app.chat.approval.query_one("#call")
        for row in range(min(4, call.size.height)):
            await pilot.click(call, offset=(1, row))

        await pilot.pause()
        assert answered == []
        assert app.is_running
        assert "May it call mail.send?" in shown(app)


def test_the_ui_imports_no_sdk_and_no_runtime():
    names = ["openai", "anthropic", "mcp", "xllamacpp", "torch", "sqlalchemy", "journeyman.agent", "pydantic", "acp"]
    code = f"import sys, journeyman.tui.app, journeyman.engine.client; print([n for n in {names} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=50, check=True)
    assert done.stdout.strip() == "[]"
