"""`journeyman traces` as it is typed: one store with a few runs, every command once and its mistakes."""

import json
import subprocess
import sys

import pytest

from journeyman.traces.export import FORMATS
from tests.cli.command import Place
from tests.traces.collector import collector

CALL = {"tool": "calculator__calculate", "arguments": {"expression": "2+3"}}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    path = tmp_path_factory.mktemp("traces")
    (path / "project").mkdir()
    place = Place(path / "project", path / "home")
    (place.folder / "sums.json").write_text(json.dumps([CALL, "It is 5."]))
    (place.folder / "other.json").write_text(json.dumps([CALL, "It is five boats."]))
    for script, prompt in (("sums", "2+3?"), ("other", "2+3?"), ("sums", "How many boats?")):
        assert place("run", "-m", f"scripted:{script}.json", prompt).code == 0

    return place


@pytest.fixture(scope="module")
def ids(place) -> list[str]:
    """Oldest first."""
    return [run["run_id"] for run in reversed(place("traces", "list", "--json").json)][:3]


def test_list_takes_a_filter(place, ids):
    assert [run["run_id"] for run in place("traces", "list", "--json", "boats tool:calculator").json] == [
        ids[2],
        ids[1],
    ]
    assert ids[0] in place("traces", "list", 'answer:"is 5" -boats').out


def test_runs_are_judged_again_and_rated(place, ids):
    done = place("traces", "score", "--check", '{"verifier": "numeric", "expected": "5"}', "--json", "answer:5")
    assert (done.json["runs"], done.json["skipped"]) == (2, {})
    assert "--tasks TASKS" in place("traces", "score").err


def test_runs_are_rated(place, ids):
    assert place("traces", "rate", ids[0], "0.25", "--note", "curt").out == f"{ids[0]}  0.25\n"
    assert [run["run_id"] for run in place("traces", "list", "--json", "reward.human<0.5").json] == [ids[0]]


def test_a_list_says_what_it_does_not_show(place, ids):
    assert place("traces", "list", "-n", "2").err == "These are the newest 2; for all: -n 0\n"
    assert place("traces", "list", "-n", "3").err == ""
    assert (nothing := place("traces", "list", "outcome:interrupted")).err == "No run fits.\n"
    assert (nothing.code, nothing.out, place("traces", "list", "--json", "outcome:interrupted").err) == (0, "", "")
    assert place("traces", "search", "zebra").err == "No run says that.\n"


def test_candidates_of_a_search_are_listed_where_they_are_asked_for(place, tmp_path):
    (place.folder / "twice.json").write_text(json.dumps(["A.", "A."]))
    home = {"JOURNEYMAN_STORE": str(tmp_path / "runs.db")}
    for _ in range(2):
        assert place("run", "-m", "scripted:twice.json", "--strategy", "vote(2)", "Which?", **home).code == 0

    listed = place("traces", "list", "-n", "1", **home)
    assert len(listed.out.splitlines()) == 1
    assert listed.err.splitlines() == [
        "4 attempts or candidates are not listed: journeyman traces list 'batch:*'",
        "These are the newest 1; for all: -n 0",
    ]
    assert len(place("traces", "list", "batch:*", **home).out.splitlines()) == 4


def test_a_mistake_in_a_filter_is_pointed_at(place):
    done = place("traces", "list", "ok", "rewad>1")

    assert done.code == 2
    assert "  ok rewad>1\n     ^\n" in done.err
    assert "did you mean 'reward'?" in done.err
    assert place("traces", "list", "--json", "rewad>1").json["error"]["kind"] == "usage"


def test_search_shows_the_words(place, ids):
    done = place("traces", "search", "five")

    assert done.out.splitlines() == [
        f"{ids[1]}  answered       2 steps  2+3?  It is five boats.",
        "    model_responded: It is five boats.",
    ]
    assert place("traces", "search", "--json", "five").json[0]["type"] == "model_responded"


def test_show_reads_like_a_transcript(place, ids):
    shown = place("traces", "show", ids[0]).out

    assert "user: 2+3?\ncall calculator.calculate" in shown
    assert place("traces", "show", "--json", ids[0]).json["run_id"] == ids[0]


def test_diff_says_where_two_runs_part(place, ids):
    done = place("traces", "diff", ids[0], ids[1])

    assert done.code == 1
    assert "Set up otherwise: model" in done.out
    assert "- assistant: It is 5.\n" in done.out
    assert "+ assistant: It is five boats.\n" in done.out
    assert place("traces", "diff", "--json", ids[0], ids[0]).json["same"] is True


def test_replay_needs_neither_model_nor_tools(place, ids):
    done = place("traces", "replay", "--json", ids[0])

    assert (done.code, done.json["same"], done.json["events"]) == (0, True, 10)


def test_replay_with_todays_tools_or_model_tells_what_differs(place, ids):
    assert place("traces", "replay", "--live-tools", ids[0]).code == 0

    done = place("traces", "replay", "--live-model", "scripted:other.json", ids[0])
    assert done.code == 1
    assert "they part in step 2" in done.out

    assert place("traces", "replay", "--live-tools", "--live-model", "scripted:x", ids[0]).code == 2


def test_fork_shares_what_came_before(place, ids):
    done = place("traces", "fork", "--json", "-m", "scripted:other.json", f"{ids[0]}:2", "In words?")

    assert (done.code, done.json["answer"]) == (0, "It is five boats.")
    shown = place("traces", "show", done.json["run_id"]).out
    assert shown.count("call calculator.calculate") == 1
    assert "user: In words?\n" in shown
    assert place("traces", "replay", done.json["run_id"]).code == 0
    assert "has no step 9" in place("traces", "fork", f"{ids[0]}:9").err
    assert place("traces", "delete", "--yes", done.json["run_id"]).code == 0


def test_export_writes_conversations(place, ids):
    done = place("traces", "export", "sft.jsonl", "--json", "--where", "prompt:2+3?")

    assert done.json == {"rows": 2, "runs": 2, "skipped": {}}
    first = json.loads((place.folder / "sft.jsonl").read_text("utf-8").splitlines()[0])
    assert first["messages"][-1] == {"role": "assistant", "content": "It is 5."}


def test_export_test_writes_a_test_that_passes(place, ids):
    done = place("traces", "export-test", "--json", "--out", "pinned", ids[0])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", "pinned", *done.json[:1]]

    assert subprocess.run(command, cwd=place.folder, check=False, timeout=50, capture_output=True).returncode == 0


def test_verify_stats_gc_and_rebuild_look_after_the_store(place, ids):
    assert place("traces", "verify", "--json").json["ok"] is True
    assert place("traces", "stats", "--json").json["runs"] == 3
    assert place("traces", "rebuild", "--json").json == {"runs": 3}
    assert place("traces", "gc", "--json").json["bytes_of_content"] == 0


def test_delete_asks_first_and_leaves_a_tombstone(place):
    place("run", "-m", "scripted:sums.json", "Forget me")
    unanswered = place("traces", "delete", "last")
    assert (unanswered.code, "--yes" in unanswered.err) == (2, True)
    assert len(place("traces", "list", "--json", "forget").json) == 1

    assert place("traces", "delete", "--yes", "last").code == 0

    assert place("traces", "list", "--json", "forget").json == []
    found = place("traces", "verify", "--json").json
    assert found["ok"]
    assert "deleted" in [each["code"] for each in found["findings"]]


def test_runs_are_sent_to_a_collector(place, ids):
    with collector() as server:
        done = place("traces", "export", "--format", "otel", "--to", server.url, "--where", f"run:{ids[0]}")

    spans = [span.name for span in server.spans if not span.name.startswith("evaluate ")]  # it was judged before
    assert (done.code, len(spans), spans[-1]) == (0, 4, "invoke_agent journeyman")
    assert done.out == f"{len(server.spans)} spans of 1 runs sent to {server.url}\n"


def test_an_export_goes_to_a_file_or_as_spans_to_a_collector(place):
    done = place("traces", "export", "out.jsonl", "--to", "http://127.0.0.1:9")

    assert (done.code, done.out) == (2, "")
    assert "written to a file, or sent as otel" in done.err


def test_an_export_says_why_it_wrote_nothing_and_points_at_what_was_typed(place):
    assert "no run matches" in place("traces", "export", "none.jsonl", "--where", "xyzzy").err
    assert "  reward==\n  ^\n" in place("traces", "export", "none.jsonl", "--where", "reward==").err
    assert "not to standard output" in place("traces", "export", "-").err
    assert not (place.folder / "-").exists()


def test_nobody_at_the_other_end_is_an_error(place):
    done = place("traces", "export", "--to", "http://127.0.0.1:9")

    assert (done.code, done.out) == (3, "")
    assert "cannot be sent to http://127.0.0.1:9" in done.err


def test_help_says_what_each_format_loses(place):
    text = place("traces", "export", "--help").out

    assert [form for form in FORMATS if f"\n  {form} " not in text] == []
    assert text.count("lost: ") == len(FORMATS) - 1


def test_runs_are_sent_as_they_end_where_that_is_set(journeyman):
    (journeyman.folder / "sums.json").write_text(json.dumps([CALL, "It is 5."]))
    with collector() as server:
        done = journeyman("run", "-m", "scripted:sums.json", "2+3?", JOURNEYMAN_OTEL_ENDPOINT=server.url)

    assert (done.code, done.out) == (0, "It is 5.\n")
    assert sorted({span.name.split()[0] for span in server.spans}) == ["chat", "execute_tool", "invoke_agent"]


def test_a_run_answers_where_nobody_is_there_to_hear_of_it(journeyman):
    (journeyman.folder / "sums.json").write_text(json.dumps(["It is 5."]))

    done = journeyman("run", "-m", "scripted:sums.json", "2+3?", JOURNEYMAN_OTEL_ENDPOINT="http://127.0.0.1:9")

    assert (done.code, done.out) == (0, "It is 5.\n")
    assert "The spans cannot be sent to http://127.0.0.1:9" in done.err


def test_a_folder_s_own_file_does_not_say_where_runs_are_sent(journeyman):
    (journeyman.folder / "sums.json").write_text(json.dumps(["It is 5."]))
    with collector() as server:
        (journeyman.folder / "journeyman.toml").write_text(f'otel_endpoint = "{server.url}"\n')
        done = journeyman("run", "-m", "scripted:sums.json", "2+3?")

    assert (done.code, server.requests) == (0, [])
    assert "otel_endpoint is left out: the file is not trusted" in done.err
