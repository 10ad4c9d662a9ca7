import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from journeyman.traces.store import Store

COMMAND = [sys.executable, "-m", "journeyman"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def script(folder: Path, *items: Any) -> str:
    (folder / "script.json").write_text(json.dumps(items))
    return "scripted:script.json"


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"tool": name, "arguments": arguments}


def journeyman(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, input=stdin, timeout=50, check=False)


SUM = call("calculator__calculate", expression="37 * 43 - 12")


def test_the_answer_and_nothing_else_is_on_stdout(folder: Path) -> None:
    done = journeyman("run", "-m", script(folder, SUM, "1579"), "What is 37 * 43 - 12?")

    assert (done.stdout, done.stderr, done.returncode) == ("1579\n", "", 0)


def test_json_is_one_object_and_the_run_can_be_read_back(folder: Path) -> None:
    done = journeyman("run", "--json", "-m", script(folder, SUM, "1579"), "What is 37 * 43 - 12?")
    said = json.loads(done.stdout)
    listed = json.loads(journeyman("traces", "list", "--json").stdout)
    shown = json.loads(journeyman("traces", "show", said["run_id"], "--json").stdout)

    assert {key: said[key] for key in ("answer", "outcome", "steps", "denied", "exit_code")} == {
        "answer": "1579",
        "outcome": "answered",
        "steps": 2,
        "denied": 0,
        "exit_code": 0,
    }
    assert [run["run_id"] for run in listed] == [said["run_id"]]
    results = [event["result"]["text"] for event in shown["events"] if event["type"] == "call_finished"]
    assert results == ["1579"]


def test_stream_json_prints_every_stored_event(folder: Path) -> None:
    done = journeyman("run", "--stream-json", "-m", script(folder, SUM, "1579"), "What is 37 * 43 - 12?")
    lines = [json.loads(line) for line in done.stdout.splitlines()]

    with Store.open(folder / "home" / "data" / "runs.db") as store:
        stored = [json.loads(each.json()) for each in store.events(lines[0]["run_id"])]

    assert lines == stored
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))


def test_the_prompt_may_come_from_stdin(folder: Path) -> None:
    done = journeyman("run", "-m", script(folder, "hi"), "-", stdin="Hello\n")

    assert done.stdout == "hi\n"


def test_a_call_nobody_is_there_to_approve_exits_5_even_if_the_run_answers(folder: Path) -> None:
    done = journeyman(
        "run", "-m", script(folder, call("files__write", path="a.txt", content="x"), "I may not."), "Write"
    )

    assert (done.stdout, done.returncode) == ("I may not.\n", 5)
    assert not (folder / "a.txt").exists()


def test_an_allowed_call_is_made(folder: Path) -> None:
    model = script(folder, call("code__python", code="print(sum(range(101)))"), "5050")

    assert journeyman("run", "-m", model, "--allow", "code.*", "Run this").returncode == 0
    shown = journeyman("traces", "show").stdout
    assert "ok: 5050" in shown


def test_a_pattern_that_fits_no_tool_is_told(folder: Path) -> None:
    done = journeyman("run", "-m", script(folder, "hi"), "--allow", "cod.*", "Hello")

    assert "no tool is called 'cod.*'" in done.stderr


def test_files_outside_the_folder_are_out_of_reach(folder: Path) -> None:
    (folder / "secret.txt").write_text("secret")
    inside = folder / "inside"
    inside.mkdir()
    model = script(folder, call("files__read", path="../secret.txt"), "no")

    journeyman("run", "-m", model, "--root", str(inside), "Read it")

    assert "outside" in journeyman("traces", "show").stdout


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["-m", "locl:starter", "Hi"], 4, "local:starter"),
        (["-m", "local:missing.gguf", "Hi"], 4, "missing.gguf"),
        (["-m", "local:.", "Hi"], 4, "folder"),
        (["-m", "scripted:missing.json", "Hi"], 4, "missing.json"),
        (["-m", "http://127.0.0.1:9/v1#x", "Hi"], 4, "127.0.0.1:9"),
        (["--root", "nowhere", "Hi"], 2, "nowhere is not a folder"),
        (["--policy", "bad.toml", "Hi"], 3, "allows"),
        (["--policy", "askk", "Hi"], 3, "ask"),
        (["--max-steps", "0", "Hi"], 2, "--max-steps"),
        (["--resume", "none"], 2, "no run 'none'"),
        ([], 2, "no prompt"),
        (["--nonsense", "Hi"], 2, "--nonsense"),
    ],
)
def test_bad_input_says_what_why_and_what_to_do(folder: Path, words: list[str], code: int, says: str) -> None:
    (folder / "bad.toml").write_text('[[rule]]\nallows = "everything"\n')

    done = journeyman("run", *words)

    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_prompt_of_nothing_is_none_and_one_that_is_no_utf_8_is_asked_all_the_same(folder: Path) -> None:
    model = script(folder, "hi")
    asked = subprocess.run([*COMMAND, "run", "-m", model, b"caf\xe9?"], capture_output=True, timeout=50, check=False)

    assert journeyman("run", "-m", model, "   ").returncode == 2
    assert (asked.returncode, asked.stdout) == (0, b"hi\n")


def test_an_error_under_json_is_json(folder: Path) -> None:
    done = journeyman("run", "--json", "-m", "nonsense", "Hi")
    error = json.loads(done.stdout)["error"]

    assert done.returncode == 4
    assert error["kind"] == "model"
    assert error["fix"]


def test_a_misused_command_line_under_json_is_json(folder: Path) -> None:
    done = journeyman("run", "--json", "--max-steps", "many", "Hi")
    error = json.loads(done.stdout)["error"]

    assert (done.returncode, error["kind"], error["fix"]) == (2, "usage", "journeyman run --help")


def test_an_interrupted_run_says_how_to_go_on_in_json_too(folder: Path) -> None:
    model = script(folder, call("code__python", code="while True: pass"), "done")
    command = [*COMMAND, "run", "--json", "--allow", "code.*", "-m", model, "Go"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        wait_for(lambda: "call_started" in stored(folder), "the call")
        run.send_signal(signal.SIGINT)
        said = json.loads(run.communicate(timeout=50)[0])

    assert run.returncode == 130
    again = f"journeyman run --resume {said['error']['run_id']} --allow 'code.*'"
    assert said["error"]["fix"] == f"Go on with it: {again}", "no run remembers what a command line allowed"


def test_whoever_stops_reading_the_stream_does_not_stop_the_run(folder: Path) -> None:
    command = [*COMMAND, "run", "--stream-json", "-m", script(folder, SUM, "1579"), "Go"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        run.stdout.readline()
        run.stdout.close()
        run.wait(timeout=50)

    assert stored(folder)[-1] == "run_finished"
    assert run.returncode == 0


def test_a_schema_that_is_none_is_told(folder: Path) -> None:
    (folder / "schema.json").write_text("true")

    done = journeyman("run", "--returns", "schema.json", "-m", script(folder, "hi"), "Hello")

    assert (done.returncode, "not a JSON object" in done.stderr) == (2, True)


def test_a_spent_budget_exits_6_with_the_run_it_belongs_to(folder: Path) -> None:
    done = journeyman("run", "--json", "--max-steps", "2", "-m", script(folder, *[SUM] * 3), "Go")
    said = json.loads(done.stdout)

    assert (done.returncode, said["outcome"], said["error"]["run_id"]) == (6, "budget", said["run_id"])


def test_a_timeout_exits_124(folder: Path) -> None:
    model = script(folder, call("code__python", code="while True: pass"), "done")

    done = journeyman("run", "--allow", "code.*", "--timeout", "3", "-m", model, "Spin")

    assert done.returncode in {0, 124}  # the sandbox may have stopped the code before
    assert done.returncode == 124 or "stopped" in journeyman("traces", "show").stdout


def test_a_home_that_cannot_be_used_is_told_and_nothing_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("JOURNEYMAN_HOME", str(folder / "file"))

    done = journeyman("run", "-m", script(folder, "hi"), "Hello")

    assert done.returncode == 3
    assert "JOURNEYMAN_HOME=FOLDER" in done.stderr


def test_two_runs_at_once_share_one_store(folder: Path) -> None:
    model = script(folder, SUM, "1579")
    command = [*COMMAND, "run", "-m", model, "Go"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]

    assert [run.communicate(timeout=50)[0] for run in runs] == ["1579\n"] * 3
    assert len(json.loads(journeyman("traces", "list", "--json").stdout)) == 3


def wait_for(condition: Any, what: str) -> None:
    for _ in range(1000):
        if condition():
            return

        time.sleep(0.05)

    pytest.fail(f"waited 50 s for {what}")


def stored(folder: Path) -> list[str]:
    path = folder / "home" / "data" / "runs.db"
    if not path.exists():
        return []

    with Store.open(path) as store:
        return [each.event.type for each in store.events(store.resolve("last"))] if store.runs() else []


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_a_readable_trace_and_goes_on(folder: Path, sign: signal.Signals) -> None:
    model = script(folder, SUM, call("code__python", code="while True: pass"), "1579")
    command = [*COMMAND, "run", "--allow", "code.*", "-m", model, "Go"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        wait_for(lambda: stored(folder).count("call_started") == 2, "the second call")
        run.send_signal(sign)
        run.communicate(timeout=50)

    assert run.returncode == (-9 if sign == signal.SIGKILL else 130)
    assert "call code.python" in journeyman("traces", "show").stdout
    assert stored(folder)[-1] == ("call_started" if sign == signal.SIGKILL else "run_finished")

    resumed = journeyman("run", "--resume", "last")

    assert resumed.stdout == "1579\n"
    shown = journeyman("traces", "show").stdout
    assert shown.count("call code.python") == 1
    assert "may or may not have happened" in shown


def at_a_terminal(answer: str, *words: str) -> tuple[str, str, int]:
    """Run it with a terminal as stdin and stderr; stdout, the terminal's screen, the exit code."""
    main, terminal = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *words], stdin=terminal, stderr=terminal, stdout=subprocess.PIPE, text=True
    ) as run:
        os.close(terminal)
        screen = ""
        for line in answer.split("\n"):
            asked = screen.count("[n] ") + screen.count("object: ")
            while screen.count("[n] ") + screen.count("object: ") == asked:
                screen += os.read(main, 4096).decode()

            os.write(main, f"{line}\n".encode())

        try:
            while more := os.read(main, 4096).decode():
                screen += more
        except OSError:  # the other end is closed
            pass

        stdout = run.communicate(timeout=50)[0]

    os.close(main)
    return stdout, screen, run.returncode


def test_a_person_at_the_terminal_is_asked_and_sees_what_happens(folder: Path) -> None:
    model = script(folder, call("files__write", path="a.txt", content="hello\33[2J"), "Written.")

    stdout, screen, code = at_a_terminal("y", "run", "-m", model, "Write")

    assert (stdout, code) == ("Written.\n", 0)
    assert "May files.write be called?" in screen
    assert "⟪U+001B⟫" in screen
    assert "answered: 2 steps" in screen
    assert (folder / "a.txt").read_text() == "hello\33[2J"


def test_a_person_at_the_terminal_is_asked_for_more_of_what_is_spent(folder: Path) -> None:
    words = ("run", "--max-tokens", "9", "-m", script(folder, SUM, "1579"), "What is 37 * 43 - 12?")

    stdout, screen, code = at_a_terminal("n", *words)

    assert (stdout, code) == ("", 6)
    assert "The run has spent its tokens: " in screen
    assert "Go on with as much again?" in screen
    assert journeyman(*words).returncode == 6


def test_a_person_may_edit_a_call_and_let_it_be_for_good(folder: Path) -> None:
    write = call("files__write", path="a.txt", content="hello")
    edited = '{"path": "b.txt", "content": "bye"}'
    at_a_terminal(f"e\n{edited}", "run", "-m", script(folder, write, "Written."), "Write")
    assert [path.name for path in sorted(folder.glob("*.txt"))] == ["b.txt"]
    assert (folder / "b.txt").read_text() == "bye"

    _, screen, _ = at_a_terminal("a\ny", "run", "-m", script(folder, write, "Written."), "Write")
    assert 'to be remembered: allow files.write where path = "a.txt"' in screen
    again = call("files__write", path="a.txt", content="again")
    other = call("files__write", path="c.txt", content="no")
    done = journeyman("run", "-m", script(folder, again, other, "Written."), "Write")
    assert (done.returncode, (folder / "a.txt").read_text(), (folder / "c.txt").exists()) == (5, "again", False)


def test_a_person_may_say_no_and_why(folder: Path) -> None:
    model = script(folder, call("files__write", path="a.txt", content="hello"), "Well then.")

    _, _, code = at_a_terminal("n not today", "run", "-m", model, "Write")

    assert code == 0
    assert "denied: not today" in journeyman("traces", "show").stdout
    assert not (folder / "a.txt").exists()


def test_what_was_denied_and_why_is_said_with_the_exit_code(folder: Path) -> None:
    done = journeyman("run", "-m", script(folder, call("code__python", code="1"), "done"), "hi")
    assert (done.stdout, done.returncode) == ("done\n", 5)
    assert done.stderr == (
        "note: code.python was denied: this needs a person's permission and nobody is there to ask\n"
        "  to allow it: --allow code.python (what else there is: journeyman policy explain code.python)\n"
    )
