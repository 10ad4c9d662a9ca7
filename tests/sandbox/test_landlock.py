"""The tiers of a user who is not root, which CI's is: the same promises from another process, as somebody else."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

SCRIPT = """
import anyio, json, os, sys
from journeyman.errors import SandboxError
from journeyman.sandbox.native import Native
from journeyman.sandbox.sandbox import Limits, Spec

async def main():
    told = {}
    for namespaces in (True, False):
        backend = Native(namespaces=namespaces)
        probe = await backend.probe()
        told[backend.name] = [probe.level, sorted(name for name, held in probe.guarantees.items() if not held)]
    box = await backend.open(Spec(limits=Limits(wall_s=5)))
    told["cell"] = (await box.run_python("open('a', 'w').write('kept')\\nx = 1\\nx + 1")).value
    told["program"] = (await box.exec(("cat", "a"))).stdout
    told["late"] = (await box.run_python("while True: pass", timeout=0.1)).status
    told["shell"] = (await box.run_python("import subprocess; subprocess.run(['true'])")).error.rpartition("\\n")[2]
    told["kept"] = (await box.run_python("open('a').read()")).value
    told["artefacts"] = list(await box.artefacts())
    state = await box.snapshot()
    await box.write("a", b"other")
    await box.restore(state)
    told["restored"] = (await box.read("a")).decode()
    worker = (await box.run_python("import os; os.getpid()")).value
    await box.close()
    with anyio.move_on_after(10) as late:
        while os.path.exists(f"/proc/{worker}"):
            await anyio.sleep(0.01)
    told["buried"] = not late.cancelled_caught
    print(json.dumps(told))

anyio.run(main)
"""


def test_without_root_namespaces_hold_and_landlock_alone_holds_what_it_says(tmp_path):
    command = [*_somebody(), "-c", SCRIPT]
    folders = [sysconfig.get_path("purelib"), str(Path.cwd())]
    home = tmp_path / "home"
    env = {"PYTHONPATH": os.pathsep.join(folders), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(home)}
    done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    level, broken = told.pop("native")
    assert (level, broken) in [(2, ["cpu_all", "memory_all"]), (3, [])]
    assert told == {
        "landlock": [1, ["cpu_all", "disk", "inodes"]],
        "cell": "2",
        "program": "kept",
        "late": "timeout",
        "shell": "PermissionError: [Errno 1] Operation not permitted",
        "kept": "'kept'",
        "artefacts": ["a"],
        "restored": "kept",
        "buried": True,
    }


STARTS = "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', '']).returncode)"


def _somebody() -> list[str]:
    """The command of a Python that an ordinary user may start, as one; skips where there is none."""
    if sys.platform != "linux":
        pytest.skip("these are parts of Linux")

    if os.getuid():
        return [sys.executable]

    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, shutil.which(version, path="/usr/local/bin:/usr/bin") or ""):
        command = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", python]
        try:
            if subprocess.run([*command, "-c", STARTS], capture_output=True, check=False).returncode == 0:
                return command
        except OSError:
            pytest.skip("setpriv is not installed")

    pytest.skip("no Python here that an ordinary user may start")
