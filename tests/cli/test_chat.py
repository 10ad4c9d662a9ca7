import json
import os
import pty
import re
import signal
import subprocess
import sys

import pytest

from journeyman.cli.chat import absolute
from tests.cli.command import Place

ESC = "\x1b"
HOSTILE = f"first\nask: may I?\n{ESC}]52;c;aGFja2Vk\x07{ESC}[2J\u202egnp.exe"


@pytest.fixture
def journeyman(journeyman):
    yield journeyman
    journeyman("serve", "--stop")


def script(place: Place, *items):
    path = place.folder / "script.json"
    path.write_text(json.dumps(items), "utf-8")
    return "scripted:script.json"


def start(place: Place, *words, **pipes):
    return subprocess.Popen(
        [sys.executable, "-m", "journeyman", *words],
        cwd=place.folder,
        env={**os.environ, "JOURNEYMAN_HOME": str(place.home), "TERM": "dumb"},
        encoding="utf-8",
        **pipes,
    )


def test_a_conversation_is_plain_lines_that_nothing_from_outside_can_begin(journeyman):
    (journeyman.folder / "notes.txt").write_text("one two three")
    write = {"tool": "files__write", "arguments": {"path": "out.txt", "content": "hello\n"}}
    look = [{"thinking": "I must look."}, {"tool": "files__read", "arguments": {"path": "notes.txt"}}]
    model = script(journeyman, look, HOSTILE, write, "Written.", {"error": "it broke"})
    asked = "What do the notes say?\n/cost\nWrite it\ny\n/mode readonly\n/rewind\n/nope\nAnd now?\n"
    talk = start(journeyman, "chat", "--model", model, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = talk.communicate(asked, timeout=50)
    lines = [re.sub(r"\d\.\d s:", "S:", line) for line in out.splitlines() if line.strip() != "you>"]
    session = lines[1].split()[2].rstrip(",")
    model = f"model scripted:{journeyman.folder}/script.json"
    assert lines == [
        "note: starting the engine, if there is none yet",
        f"note: session {session}, {model}, mode ask; /help says what can be typed",
        "you: What do the notes say?",
        "thought: I must look.",
        "call: files.read notes.txt",
        "policy: allow: it changes nothing and reaches nothing outside the working folder",
        "result: ok, S: one two three",
        "answer: first",
        "    ask: may I?",
        "    ⟪U+001B⟫]52;c;aGFja2Vk⟪U+0007⟫⟪U+001B⟫[2J⟪U+202E⟫gnp.exe",
        "note: read 28 tokens (0 cached), wrote 24, $0.0000; the window holds 34 of 1048576",
        "note: of 40 steps a turn, 2 are used",
        "note: of 200000 tokens a turn, 52 are used",
        lines[13],
        "you: Write it",
        "call: files.write out.txt hello",
        "ask: May files.write be called? (no rule allows files.write)",
        "ask:     files.write",
        'ask:       "path" = out.txt',
        'ask:       "content" = hello',
        "ask:       |",
        "ask:   - path 'out.txt' comes from nobody knows where",
        "ask: y once, s for this session, a always, e to edit, n or n REASON to refuse [n] ",
        "result: ok, S: wrote out.txt: 1 line, 6 bytes",
        "answer: Written.",
        "note: mode readonly",
        "note: /rewind 1: What do the notes say?",
        "note: /rewind 2: Write it",
        "note: there is no command /nope; /help names them",
        "you: And now?",
        "error: it broke",
        "    The script says so.",
        f"note: resume with: journeyman chat --resume {session}",
    ]
    assert ESC not in out
    assert talk.returncode == 4


def test_without_a_command_it_talks_and_a_session_is_gone_on_with(journeyman):
    model = script(journeyman, "First.", "Second.")
    bare = start(journeyman, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = bare.communicate(f"/model scripted:{journeyman.folder}/script.json\nOne?\n", timeout=50)
    assert "answer: First." in out
    again = start(journeyman, "chat", "--resume", "last", "-m", model, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = again.communicate("Two?\n", timeout=50)
    said = [line for line in out.splitlines() if line.startswith(("you:", "answer:"))]
    assert said == ["you: One?", "answer: First.", "you: Two?", "answer: Second."]


def test_what_a_program_calls_is_told_apart_from_what_the_model_calls(journeyman, monkeypatch):
    monkeypatch.setenv("JOURNEYMAN_PROGRAMS", "true")
    (journeyman.folder / "notes.txt").write_text("one two three")
    program = {"tool": "run_program", "arguments": {"code": "len(files__read(path='notes.txt'))"}}
    model = script(journeyman, program, "Thirteen.")
    talk = start(journeyman, "chat", "--plain", "--model", model, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = talk.communicate("How long are the notes?\n", timeout=50)
    lines = [re.sub(r"\d\.\d s:", "S:", line) for line in out.splitlines()]
    called = lines.index("call: agent.run_program len(files__read(path='notes.txt'))")
    assert lines[called + 2 : called + 7] == [
        "inner call: files.read notes.txt",
        "inner policy: allow: it changes nothing and reaches nothing outside the working folder",
        "inner result: ok, S: one two three",
        "result: ok, S: 13",
        "answer: Thirteen.",
    ]


def test_on_a_dumb_terminal_an_interrupt_stops_the_turn_and_not_the_conversation(journeyman):
    write = {"tool": "files__write", "arguments": {"path": "out.txt", "content": "hello\n"}}
    model = script(journeyman, write, "Otherwise, then.")
    ours, theirs = pty.openpty()
    talk = start(journeyman, "chat", "-m", model, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    screen = ""

    def until(text):
        nonlocal screen
        while text not in screen:
            screen += os.read(ours, 1 << 16).decode()

        seen, _, screen = screen.partition(text)
        return seen

    seen = until("you> ")
    os.write(ours, b"Write it\n")
    seen += until("to refuse [n] ")
    talk.send_signal(signal.SIGINT)
    seen += until("note: cancelled")
    os.write(ours, b"Do not write\n")
    seen += until("answer: Otherwise, then.")
    os.write(ours, b"/quit\n")
    seen += until("resume with: journeyman chat --resume")
    assert talk.wait(timeout=50) == 0
    os.close(ours)
    assert ESC not in seen
    assert not (journeyman.folder / "out.txt").exists()


def said_to(place: Place, model: str, typed: str, *words: str) -> tuple[int, list[str], str]:
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    talk = start(place, "chat", "--plain", "-m", model, *words, **piped)
    out, err = talk.communicate(typed, timeout=50)
    return talk.returncode, [line for line in out.splitlines() if line.strip() != "you>"], err


def gone(place: Place) -> str:
    return f"error: There is no run 'zzz' in {place.home}/data/runs.db."


def test_a_session_that_is_not_there_is_one_line_and_a_misuse(journeyman):
    code, _, err = said_to(journeyman, script(journeyman, "Hello."), "", "--resume", "zzz")
    assert (code, err) == (2, f"E{gone(journeyman)[1:]}\n  journeyman traces list\n")


def test_a_call_that_the_policy_denied_in_the_last_turn_is_the_exit_code(journeyman):
    write = {"tool": "files__write", "arguments": {"path": "out.txt", "content": "hello"}}
    model = script(journeyman, write, "I may not.", "Fine.")
    assert said_to(journeyman, model, "Write it\n", "--policy", "readonly")[0] == 5
    assert said_to(journeyman, model, "Write it\nNever mind\n", "--policy", "readonly")[0] == 0


def test_the_end_of_input_at_a_question_is_nobodys_answer(journeyman):
    write = {"tool": "files__write", "arguments": {"path": "out.txt", "content": "hello"}}
    code, lines, _ = said_to(journeyman, script(journeyman, write, "I may not."), "Write it\nmaybe\n")
    assert "ask:   'maybe' is none of these answers" in lines
    assert [re.sub(r"\d\.\d s:", "S:", line) for line in lines if line.startswith("result:")] == [
        "result: denied, S: denied: this needs a person's permission and nobody is there to ask"
    ]
    assert code == 5


def test_what_a_command_cannot_do_is_told_and_changes_nothing(journeyman):
    typed = "/rewind 1\nOne?\n/resume zzz\n/rewind 7\n/rewind abc\n/fork 99\n/cost now\n"
    code, lines, _ = said_to(journeyman, script(journeyman, "First."), typed)
    assert lines[2:-1] == [
        "note: there is no message 1 of yours here",
        "you: One?",
        "answer: First.",
        gone(journeyman),
        "    journeyman traces list",
        "note: there is no message 7 of yours here",
        "note: /rewind 1: One?",
        "note: there is no message abc of yours here",
        "note: /rewind 1: One?",
        "note: /fork takes nothing after it; it goes on in a copy of this session",
        "note: /cost takes nothing after it; it says what was spent",
    ]
    assert code == 0


def test_a_models_file_is_named_from_the_folder_where_it_was_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("local:a.gguf+b.gguf") == f"local:{tmp_path}/a.gguf+{tmp_path}/b.gguf"
    assert absolute("local:starter") == "local:starter"
    assert absolute("local:trained-here") == "local:trained-here"
    assert absolute("http://127.0.0.1:1/v1#x") == "http://127.0.0.1:1/v1#x"


def test_the_session_that_was_used_last_is_gone_on_with_not_the_one_begun_last(journeyman):
    model = script(journeyman, "First.", "Second.")
    (journeyman.folder / "b.json").write_text('["Other."]')
    _, lines, _ = said_to(journeyman, model, "One?\n")
    session = lines[-1].split()[-1]
    said_to(journeyman, "scripted:b.json", "Another thing?\n")
    said_to(journeyman, model, "Two?\n", "--resume", session)
    _, lines, _ = said_to(journeyman, model, "", "--resume", "last")
    assert [line for line in lines if line.startswith("you:")] == ["you: One?", "you: Two?"]
    run = journeyman("traces", "show", "--json").json
    assert run["run_id"] == session
    elsewhere = journeyman("chat", "--plain", "--resume", "last", "--root", str(journeyman.home))
    assert (elsewhere.code, "There is no session of the folder" in elsewhere.err) == (2, True)


def test_what_an_engine_that_ended_had_not_asked_yet_is_told_and_shown_when_it_is_asked(journeyman):
    waiting = journeyman.home / "state/engine/waiting/early.json"
    waiting.parent.mkdir(parents=True)
    waiting.write_text('[{"text": "One?", "command": ""}]')
    ours, theirs = pty.openpty()
    words = ("chat", "--resume", "early", "-m", script(journeyman, "First.", "Second."))
    with start(journeyman, *words, stdin=theirs, stdout=theirs, stderr=theirs) as talk:
        os.close(theirs)
        os.write(ours, b"Two?\n/quit\n")
        screen = ""
        while "resume with" not in screen:
            screen += os.read(ours, 1 << 16).decode()

    os.close(ours)
    lines = [line.removeprefix("you> ") for line in screen.splitlines()]
    said = [line for line in lines if line.startswith(("note: not", "you:", "answer:"))]
    assert said == [
        "note: not asked yet, and asked first when you go on: One?",
        "you: One?",
        "answer: First.",
        "answer: Second.",
    ]
    assert talk.returncode == 0


def test_an_engine_that_ends_is_no_success(journeyman):
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with start(journeyman, "chat", "--plain", "-m", script(journeyman), **piped) as talk:
        said = iter(talk.stdout.readline, "")
        assert any(line.startswith("note: session ") for line in said)
        journeyman("serve", "--stop")
        assert "error: the engine is gone; the session is stored" in "".join(said)

    assert talk.returncode == 1


@pytest.mark.parametrize("model", ["foo", "local:gone.gguf", "scripted:gone.json"])
def test_a_model_that_is_not_there_is_refused_before_anything_begins(journeyman, model):
    for words in (("chat", "--plain"), ("web",)):
        done = journeyman(*words, "-m", model)
        assert (done.code, done.out, "Error: " in done.err) == (4, "", True)
        assert [journeyman(*words, *more).code for more in (("--root", "gone"), ("--policy", "nope"))] == [2, 3]


def test_no_input_at_all_is_its_end(journeyman):
    model = script(journeyman)
    talk = start(
        journeyman, "chat", "--plain", "-m", model, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=-1
    )
    _, err = talk.communicate(timeout=50)
    assert (talk.returncode, err) == (0, "")
