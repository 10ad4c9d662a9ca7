import re
import sys
import tomllib
from pathlib import Path

from journeyman.errors import install

CLONE = Path(__file__).parents[1]


def test_every_hint_to_install_something_names_an_extra_that_there_is():
    named = {
        extra
        for path in (CLONE / "journeyman").rglob("*.py")
        for extras in re.findall(r"""install\(f?["']journeyman\[([\w,]+)\]""", path.read_text("utf-8"))
        for extra in extras.split(",")
    }
    known = tomllib.loads((CLONE / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert {"train", "otel", "postgres"} <= named <= set(known)


def test_a_hint_to_install_something_is_a_command_for_this_very_python():
    assert sys.executable in install("pyarrow")
    ours = install("journeyman[ray,postgres]")
    if Path(sys.prefix) == CLONE / ".venv":
        assert ours == "uv sync --inexact --extra ray --extra postgres"
    else:
        assert sys.executable in ours
        assert ours.endswith(f'-e "{CLONE}[ray,postgres]"')
