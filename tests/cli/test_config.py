import os

import pytest


def settings(done) -> dict[str, tuple[object, str]]:
    return {name: (each["value"], each["origin"]) for name, each in done.json["settings"].items()}


def test_every_setting_is_shown_with_its_value_and_origin(journeyman):
    user = journeyman.config("config.toml", "steps = 7\n")
    done = journeyman("config", "show", JOURNEYMAN_TOKENS="99")
    rows = [line.split(maxsplit=2) for line in done.out.splitlines()]
    assert (done.code, done.err) == (0, "")
    assert rows == [
        ["model", "-", "default"],
        ["store", str(journeyman.home / "data/runs.db"), "default"],
        ["policy", "ask", "default"],
        ["root", str(journeyman.folder), "default"],
        ["steps", "7", f"{user}:1"],
        ["tokens", "99", "environment JOURNEYMAN_TOKENS"],
        ["seconds", "600", "default"],
        ["usd", "-", "default"],
        ["think", "auto", "default"],
        ["effort", "-", "default"],
        ["context", "-", "default"],
        ["compact_at", "0.75", "default"],
        ["sandbox", "auto", "default"],
        ["sandbox_hosts", "-", "default"],
        ["programs", "False", "default"],
        ["web", "-", "default"],
        ["threads", "-", "default"],
        ["secrets", "-", "default"],
        ["durable", "process", "default"],
        ["otel_endpoint", "-", "default"],
    ]


def test_json_says_the_same_and_where_the_files_are(journeyman):
    user = journeyman.config("config.toml", "steps = 7\n")
    done = journeyman("config", "show", "--json")
    assert settings(done)["steps"] == (7, f"{user}:1")
    assert done.json["files"] == {"user": str(user), "project": str(journeyman.folder / "journeyman.toml")}
    assert done.json["notices"] == []


def test_what_a_project_s_file_may_not_say_is_a_note_until_the_file_is_trusted(journeyman):
    path = journeyman.folder / "journeyman.toml"
    path.write_text('policy = "yolo"\n', "utf-8")
    done = journeyman("config", "show")
    assert done.err == f"Note: {path}:1: policy is left out: the file is not trusted\n"

    trusted = journeyman("config", "trust", "--yes")
    assert (trusted.code, trusted.out) == (0, "trusted journeyman.toml\n")
    assert 'policy = "yolo"' in trusted.err
    assert settings(journeyman("config", "show", "--json"))["policy"] == ("yolo", f"{path}:1")


def test_nothing_is_trusted_where_nobody_can_be_asked(journeyman):
    (journeyman.folder / "journeyman.policy.toml").write_text('allow = ["*"]\n', "utf-8")
    done = journeyman("config", "trust")
    assert (done.code, done.out) == (2, "")
    assert done.err == "Error: nobody is there to ask\n  read the file, then say --yes\n"
    assert not (journeyman.home / "state").exists()


def test_a_policy_that_is_not_there_is_told_with_the_settings(journeyman):
    journeyman.config("config.toml", 'policy = "nope"\n')
    done = journeyman("config", "show")
    assert (done.code, "Note: no run begins so: " in done.err, "nope" in done.err) == (0, True, True)


@pytest.mark.parametrize(("answer", "kept"), [(b"y\n", True), (b"n\n", False), (b"\n", False)])
def test_on_a_terminal_the_file_is_shown_and_the_person_decides(journeyman, answer, kept):
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    (journeyman.folder / "journeyman.toml").write_text("# \u202ehidden\nsteps = 50\n", "utf-8")
    keyboard, terminal = pty.openpty()
    os.write(keyboard, answer)
    done = journeyman("config", "trust", terminal=terminal)
    os.close(keyboard)
    assert (done.code, "trusted" in done.out) == (0, kept)
    assert "# ⟪U+202E⟫hidden\nsteps = 50\n" in done.err
    assert settings(journeyman("config", "show", "--json"))["steps"][0] == (50 if kept else 40)


def test_there_may_be_nothing_to_trust(journeyman):
    done = journeyman("config", "trust", "--yes")
    assert done.code == 2
    assert "there is no journeyman.toml or journeyman.policy.toml in" in done.err


def test_a_wrong_setting_is_an_error_with_its_line_as_words_and_as_json(journeyman):
    path = journeyman.config("config.toml", "\nstepz = 7\n")
    words, json = journeyman("config", "show"), journeyman("config", "show", "--json")
    assert (words.code, words.out) == (3, "")
    assert words.err == f"Error: {path}:2: unknown key 'stepz'\n  did you mean 'steps'?\n"
    assert (json.code, json.err) == (3, "")
    assert json.json == {
        "error": {
            "kind": "config",
            "message": f"{path}:2: unknown key 'stepz'",
            "fix": "did you mean 'steps'?",
            "run_id": None,
        }
    }


def test_the_password_of_a_store_is_not_shown(journeyman):
    for words in ([], ["--json"]):
        done = journeyman("config", "show", *words, JOURNEYMAN_STORE="postgresql://me:hunter2@db.example/runs")
        assert "postgresql://me:***@db.example/runs" in done.out
        assert "hunter2" not in done.out
