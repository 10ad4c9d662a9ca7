"""Control groups of version 2, on a tree of files as systemd lays it out: CI's machines have version 1."""

import os
from pathlib import Path

import pytest

from journeyman.sandbox.cgroup import CONTROLLERS, Group, version_2
from journeyman.sandbox.sandbox import Limits

TOLD = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The service of the user's own systemd hands the controllers down; the scope below it has this process."""
    service = tmp_path / "user.slice" / "user-1000.slice" / "user@1000.service"
    scope = service / "app.slice" / "run-1.scope"
    scope.mkdir(parents=True)
    for folder, handed_down in ((scope, ""), (service / "app.slice", "memory pids"), (service, "cpu memory pids")):
        (folder / "cgroup.subtree_control").write_text(handed_down)
        (folder / "cgroup.procs").write_text("")

    return tmp_path


def test_a_group_is_made_under_the_nearest_folder_that_hands_all_controllers_down(tree):
    assert version_2(TOLD, tree) == dict.fromkeys(CONTROLLERS, tree / "user.slice/user-1000.slice/user@1000.service")
    assert version_2("0::/elsewhere\n", tree) is None
    assert version_2("4:memory:/a\n", tree) is None


def test_a_group_bounds_all_its_processes_together_and_tells_what_the_kernel_did(tree):
    parents = version_2(TOLD, tree)
    assert parents is not None
    group = Group(parents, Limits(memory_mb=64, pids=10, cpus=0.5))
    (folder,) = parents["cpu"].glob("journeyman-*")
    written = {path.name: path.read_text() for path in folder.iterdir()} | {"memory.swap.max": "0"}
    assert written == {
        "memory.max": str(64 * 1024 * 1024),
        "memory.swap.max": "0",
        "pids.max": "12",
        "cpu.max": "10000 20000",
    }
    with group.doors() as (door,):
        os.write(door, b"0")

    group.share(0.05)
    assert ((folder / "cgroup.procs").read_text(), (folder / "cpu.max").read_text()) == ("0", "1000 20000")

    (folder / "cpu.stat").write_text("usage_usec 1\nnr_throttled 3\n")
    (folder / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    assert (group.throttled(), group.oom(), group.oom()) == (True, True, False)


def test_a_group_that_cannot_be_set_up_is_taken_away_again(tree):
    service = tree / "user.slice/user-1000.slice/user@1000.service"
    with pytest.raises(FileNotFoundError):
        Group({"memory": service, "pids": service, "cpu": service / "gone"}, Limits())

    assert list(service.glob("journeyman-*")) == []
