import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("shell", "said"), [("bash", "complete -o"), ("zsh", "#compdef"), ("fish", "complete --")])
def test_a_script_is_printed_for_each_shell(journeyman, shell, said):
    done = journeyman("completion", shell)
    assert done.code == 0
    assert said in done.out
    assert "_JOURNEYMAN_COMPLETE" in done.out


def test_another_shell_is_told_which_there_are(journeyman):
    done = journeyman("completion", "tcsh")
    assert (done.code, done.out) == (2, "")
    assert "'bash', 'zsh', 'fish'" in done.err


@pytest.mark.parametrize(
    ("typed", "offered"), [("doc", ["doctor"]), ("mcp rem", ["remove"]), ("mcp serve cal", ["calculator"])]
)
def test_bash_completes_commands_and_arguments(journeyman, typed, offered):
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")

    script = journeyman("completion", "bash").out
    count = len(typed.split())
    asks = f"{script}\nCOMP_WORDS=(journeyman {typed}); COMP_CWORD={count}; _journeyman_completion journeyman"
    done = subprocess.run(
        ["bash", "--norc", "-c", f'{asks}; printf "%s\\n" "${{COMPREPLY[@]}}"'],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        check=True,
    )
    assert done.stdout.split() == offered
