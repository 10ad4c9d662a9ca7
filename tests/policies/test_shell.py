"""What of a script is understood, beside bash itself."""

import subprocess
from shutil import which

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeyman.policies.policy import Policy
from journeyman.policies.shell import every_is, understood
from journeyman.traces.events import RunStarted
from journeyman.traces.messages import ToolSpec
from tests.need import need

SHELL = ToolSpec(name="x", server="code", tool="shell")
STRANGE = ToolSpec(name="x", server="term", tool="shell")
RULE = Policy.allow("*.shell", where={"command": {"shell": ["ls", "git log"]}})


@pytest.fixture(autouse=True)
def _grammar():
    need("tree_sitter_bash")


def test_plain_commands_are_understood_word_by_word():
    script = "ls -l 'a b' \"c\" | grep -v x && git log -n 5\nls # all\nls &"
    assert understood(script) == (
        ("ls", "-l", "a b", "c"),
        ("grep", "-v", "x"),
        ("git", "log", "-n", "5"),
        ("ls",),
        ("ls",),
    )


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("ls", True),
        ("ls -l; git log --oneline", True),
        ("git status", False),
        ("lsof", False),
        ("ls; rm x", None),
        ("git", False),
        ("ls $HOME", None),
        ("env ls", None),
        ("", None),
        (7, None),
    ],
)
def test_every_command_must_be_one_of_them(script, answer):
    assert every_is(script, ["ls", "git log", "env"]) is answer


def test_a_rule_about_commands_allows_nothing_outside_a_proven_sandbox():
    call = {"command": "ls -l"}
    assert RULE.decide(SHELL, call).effect == "ask"
    assert RULE.decide(SHELL, call, contained=True).effect == "allow"
    assert RULE.decide(STRANGE, call, contained=True).effect == "ask"


@pytest.mark.parametrize(("sandbox", "effect"), [({"level": 3}, "allow"), ({"level": 0}, "ask"), ({}, "ask")])
def test_a_run_knows_whether_its_sandbox_holds(sandbox, effect):
    watch = RULE.watch()
    watch.apply(RunStarted(prompt="", model="m", sandbox=sandbox))
    assert watch.decide(SHELL, {"command": "ls"}).effect == effect


def test_a_rule_that_denies_commands_denies_what_is_not_understood():
    policy = Policy.preset("yolo").deny("code.shell", where={"command": {"shell": ["rm"]}})
    scripts = ["rm x", "ls; rm x", "$(echo rm) x", "bash -c 'rm x'", "ls"]
    assert [policy.decide(SHELL, {"command": each}).effect for each in scripts] == ["deny"] * 4 + ["allow"]


PLAIN = st.sampled_from(["zz ", "yy -a ", "'q r' ", '"s t" ', "b=c ", "x* ", "0 ", "; zz ", "| yy ", "&& zz ", "\nyy "])
ODD = st.sampled_from([*"#$`()<>{}\\'\"&!~=[],\t\r^;|\n ", "%1", "||", ""])
SCRIPTS = st.tuples(st.lists(PLAIN, max_size=5), ODD, st.lists(PLAIN, max_size=3)).map(
    lambda parts: "zz " + "".join(parts[0]) + parts[1] + "".join(parts[2])
)
SHOW = "command_not_found_handle() { local IFS=$'\\x1f'; printf '%s\\x1f\\x1e' \"$*\"; }\n"
"""One write for each command, as those in the background write at the same time."""


@settings(max_examples=60, deadline=None)
@given(SCRIPTS)
def test_bash_runs_nothing_but_what_was_understood(script):
    bash = which("bash")
    words = understood(script)
    if words is None or bash is None or any(not each[0].startswith(("zz", "yy")) for each in words):
        return

    done = subprocess.run(
        [bash, "-f", "-c", SHOW + script], capture_output=True, check=False, env={"PATH": "/nowhere"}, timeout=20
    )
    ran = [tuple(each.split("\x1f")[:-1]) for each in done.stdout.decode().split("\x1e")[:-1]]
    assert set(ran) <= set(words)
