import json
import os
import subprocess
import sys

import pytest

from journeyman.cli import checks
from journeyman.errors import install
from tests.need import need

NAMES = ["python", "settings", "policy", "model", "engine", "store", "home", "sandbox", "servers"]


def by_name(done) -> dict[str, dict[str, object]]:
    return {check["name"]: check for check in done.json["checks"]}


def test_where_everything_is_there_it_says_so(journeyman):
    need("local")
    words, json = journeyman("doctor"), journeyman("doctor", "--json")
    assert (words.code, words.err, json.code) == (0, "", 0)
    assert [line.split()[:2] for line in words.out.splitlines()[:-1]] == [["ok", name] for name in NAMES]
    assert words.out.endswith('Ready. Try: journeyman run "What is 37 * 43 - 12?"\n')
    assert (json.json["ok"], list(by_name(json))) == (True, NAMES)
    assert not journeyman.home.exists(), "looking makes nothing"


def test_a_model_that_is_missing_is_named_with_what_mends_it(journeyman):
    done = journeyman("doctor", "--json", JOURNEYMAN_MODEL="local:gone.gguf")
    model = by_name(done)["model"]
    assert (done.code, done.json["ok"], model["ok"]) == (3, False, False)
    assert "gone.gguf" in str(model["detail"])
    assert "local:starter" in str(model["fix"])


def test_a_model_elsewhere_needs_no_engine(journeyman):
    done = journeyman("doctor", "--json", JOURNEYMAN_MODEL="http://127.0.0.1:9/v1#x")
    assert done.code == 0
    assert by_name(done)["engine"]["required"] is False


def test_one_broken_file_does_not_hide_the_rest(journeyman):
    journeyman.config("config.toml", "stepz = 1")
    journeyman.config("policy.toml", "alow = []")
    journeyman.config("mcp.json", "{")
    found = by_name(journeyman("doctor", "--json"))
    assert [name for name, check in found.items() if not check["ok"]] == ["settings", "policy", "servers"]
    assert found["settings"]["fix"] == "did you mean 'steps'?"


def test_a_store_that_is_no_store_or_has_no_room_is_missing(journeyman, tmp_path):
    other = tmp_path / "other.db"
    other.write_text("not a database, but long enough to look like one" * 50, "utf-8")
    for path in (other, other / "runs.db", "/proc/runs.db"):
        done = journeyman("doctor", "--json", JOURNEYMAN_STORE=str(path))
        assert (done.code, by_name(done)["store"]["ok"]) == (3, False)
        assert "JOURNEYMAN_STORE" in str(by_name(done)["store"]["fix"])


def test_a_disk_that_takes_no_more_is_missing_room(journeyman):
    """A limit on what a process may write does what a full disk does."""
    code = """import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.argv = ["journeyman", "doctor", "--json"]
runpy.run_module("journeyman", run_name="__main__")"""
    home = {**os.environ, "JOURNEYMAN_HOME": str(journeyman.home)}
    done = subprocess.run([sys.executable, "-c", code], env=home, capture_output=True, text=True, check=False)
    found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert (done.returncode, found["store"]["ok"], found["home"]["ok"]) == (3, False, False)
    assert "JOURNEYMAN_HOME" in found["home"]["fix"]


def test_a_home_that_is_a_file_is_missing(journeyman):
    journeyman.home.write_text("no folder", "utf-8")
    done = journeyman("doctor", "--json")
    found = by_name(done)
    assert (done.code, done.err, found["home"]["ok"]) == (3, "", False)
    assert {"JOURNEYMAN_HOME=FOLDER" in str(found[name]["fix"]) for name in ("home", "store")} == {True}
    refused = [journeyman(*words) for words in (("run", "2 + 3?"), ("traces", "list"), ("serve", "--stop"))]
    assert [(each.code, "JOURNEYMAN_HOME=FOLDER" in each.err) for each in refused] == [(3, True)] * 3


def test_a_store_that_is_there_is_opened(journeyman, tmp_path):
    from journeyman.traces.store import Store  # noqa: PLC0415

    Store.open(tmp_path / "runs.db").close()
    done = journeyman("doctor", "--json", JOURNEYMAN_STORE=str(tmp_path / "runs.db"))
    assert by_name(done)["store"]["detail"] == f"{tmp_path / 'runs.db'}, no runs yet"


def test_a_server_that_was_not_started_is_not_called_ready(journeyman):
    journeyman("mcp", "add", "tool", "--", "make")
    told = by_name(journeyman("doctor", "--json"))["servers"]["detail"]
    assert told == "tool, not started now; to try one: journeyman mcp test NAME"


def test_a_server_whose_program_is_missing_is_told_but_stops_nothing(journeyman):
    need("local")
    journeyman("mcp", "add", "tool", "--", "no-such-program")
    done = journeyman("doctor", "--json")
    assert (done.code, by_name(done)["servers"]["ok"]) == (0, False)
    assert "journeyman mcp remove tool" in str(by_name(done)["servers"]["fix"])


@pytest.mark.parametrize("broken", ["raise ImportError('no symbol')", "import os; os.abort()"])
def test_an_engine_that_cannot_be_imported_or_aborts_does_not_take_us_along(broken, tmp_path, monkeypatch):
    (tmp_path / "xllamacpp.py").write_text(broken, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    engine = {check.name: check for check in checks.checkup()}["engine"]
    assert (engine.ok, engine.fix) == (False, install("journeyman[local]"))
