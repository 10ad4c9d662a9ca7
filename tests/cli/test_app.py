import subprocess
import sys
from pathlib import Path

import pytest


def test_a_standard_stream_that_is_closed_breaks_nothing(journeyman):
    """As `<&- >&- 2>&-` in a shell, or a service manager, leave it."""
    command = [sys.executable, "-m", "journeyman", "config", "show"]

    done = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], cwd=journeyman.folder, check=False)

    assert done.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_in_words(journeyman):
    command = [sys.executable, "-m", "journeyman", "config", "show"]

    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=journeyman.folder, stdout=full, stderr=subprocess.PIPE, check=False)

    assert (done.returncode, done.stderr.decode().splitlines()[0]) == (
        1,
        "Error: The disk that this writes to is full.",
    )
