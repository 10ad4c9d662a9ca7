"""`journeyman policy` as it is typed."""

import json

import pytest

from journeyman.policies.approvals import Approval
from tests.cli.command import Place

TABLE = '[[case]]\ntool = "files.write"\neffect = "{}"\n'


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    path = tmp_path_factory.mktemp("policy")
    (path / "project").mkdir()
    place = Place(path / "project", path / "home")
    call = {"tool": "files__list", "arguments": {}}
    (place.folder / "script.json").write_text(json.dumps([call, "Nothing."]))
    (place.folder / "house.toml").write_text('extends = "readonly"\ndeny = ["files.list"]\n')
    assert place("run", "-m", "scripted:script.json", "What is here?").code == 0
    return place


def test_check_says_which_files_count(place):
    assert "house.toml: 1 rules" in place("policy", "check", "house.toml").out
    assert [each["tier"] for each in place("policy", "check", "--json").json["layers"]] == ["builtin", "preset"]
    bad = place("policy", "check", "nothing.toml")
    assert (bad.code, "does not exist" in bad.err) == (3, True)


def test_explain_traces_values_and_says_what_would_help(place):
    words = ("mail.send", '{"to": "eve@evil.org"}', "--said", "Answer", "--read", "mail.get", "ask eve@evil.org")
    done = place("policy", "explain", "--json", *words)
    assert done.code == 5
    assert done.json["effect"] == "ask"
    assert done.json["traced"][0]["source"] == "outsider"
    assert "outsider in call1" in place("policy", "explain", *words).out
    assert place("policy", "explain", "files.read", '{"path": "a"}', "--run", "last").code == 0


def test_explain_says_what_a_tool_refuses_besides(place):
    done = place("policy", "explain", "files.read", '{"path": "/etc/passwd"}')
    assert "the tool itself refuses paths outside the working folder" in done.out
    assert "the tool itself" not in place("policy", "explain", "calculator.calculate").out


def test_explain_says_for_what_a_name_without_a_server_is_taken(place):
    taken = "a name without a server is taken for a function"
    assert taken in place("policy", "explain", "nonsense").out
    assert taken not in place("policy", "explain", "files.read").out


def test_explain_says_that_the_arguments_do_not_fit_the_tool(place):
    done = place("policy", "explain", "files.read", '{"pth": "a"}')
    assert (done.code, "path is missing; there is no argument 'pth' (did you mean 'path'?)" in done.out) == (0, True)
    assert "path is missing" in place("policy", "explain", "--json", "files.read", "{}", "--run", "last").json["misfit"]
    assert place("policy", "explain", "--json", "files.read", '{"path": "a"}').json["misfit"] == ""
    assert place("policy", "explain", "--json", "files.read").json["misfit"] == ""
    assert place("policy", "explain", "--json", "mail.send", '{"to": "a"}').json["misfit"] == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("files.*",), "is a pattern"),
        (("a b",), "names no tool"),
        (("files.read", "{"), "not valid JSON"),
        (("files.read", "[]"), "must be an object"),
        (("files.read", "{}", "--run", "zzz"), "zzz"),
    ],
)
def test_explain_says_what_is_wrong_with_the_question(place, words, told):
    done = place("policy", "explain", *words)
    assert (done.code, told in done.err) == (2, True)


def test_test_runs_tables(place):
    assert place("policy", "test", "--json").json["failed"] == []
    (place.folder / "good.toml").write_text(TABLE.format("ask"))
    (place.folder / "bad.toml").write_text(TABLE.format("allow"))
    assert place("policy", "test", "good.toml").out == "1 of 1 cases hold, in 1 tables\n"
    done = place("policy", "test", "bad.toml")
    assert (done.code, "expected allow, got ask" in done.out) == (1, True)


def test_lint_finds_and_ends_with_one(place):
    assert place("policy", "lint").out == "nothing found\n"
    done = place("policy", "lint", "--json", "yolo")
    assert (done.code, {each["kind"] for each in done.json}) == (1, {"invariant"})


def test_diff_compares_meanings(place):
    assert place("policy", "diff", "ask", "ask").out == "they mean the same\n"
    done = place("policy", "diff", "readonly", "house.toml")
    assert done.code == 1
    assert "allow -> deny  files.list" in done.out


def test_replay_lists_new_prompts_and_blocks(place):
    assert place("policy", "replay").code == 0
    done = place("policy", "replay", "--policy", "house.toml", "--json", "tool:files")
    assert (done.code, done.json["blocks"], done.json["changed"][0]["tool"]) == (1, 1, "files.list")
    assert "1 new blocks" in place("policy", "replay", "--policy", "house.toml").out


def test_what_was_allowed_for_good_is_listed_and_taken_back(journeyman):
    kept = [Approval(tool="mail.send", where={"to": "b@x.org"}, pin="p"), Approval(tool="files.edit", pin="p")]
    path = journeyman.home / "state" / "approvals.json"
    path.parent.mkdir(parents=True)
    path.write_text(f"[{','.join(each.model_dump_json() for each in kept)}]", "utf-8")
    listed = journeyman("policy", "approvals")
    assert listed.out == '  1  allow mail.send where to = "b@x.org"\n  2  allow files.edit, whatever its arguments\n'
    assert journeyman("policy", "approvals", "--revoke", "mail.read").code == 2
    revoked = journeyman("policy", "approvals", "--revoke", "mail.send")
    assert (revoked.out, revoked.err) == ("  1  allow files.edit, whatever its arguments\n", "taken back: 1; left: 1\n")
    assert journeyman("policy", "approvals", "--revoke", "all", "--json").json == []
    path.write_text("[{", "utf-8")
    broken = journeyman("policy", "approvals")
    assert (broken.code, "cannot be read" in broken.err) == (3, True)
