import subprocess
import sys


def test_a_standard_stream_that_is_closed_breaks_nothing(journeyman):
    """As `<&- >&- 2>&-` in a shell, or a service manager, leave it."""
    command = [sys.executable, "-m", "journeyman", "config", "show"]

    done = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], cwd=journeyman.folder, check=False)

    assert done.returncode == 0
