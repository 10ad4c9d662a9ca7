from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from journeyman import home
from journeyman.agent.models.kept import use
from journeyman.errors import ConfigError
from journeyman.home import alone, config_dir, data_dir, is_trusted, state_dir, trust
from journeyman.policies.approvals import Approval, Book
from journeyman.tools.mcp_json import Entry, add, user_file
from journeyman.tools.pins import Pins
from journeyman.tools.target import Command

CHANGES = {
    "what is trusted": lambda: (state_dir() / "trusted.json", lambda: trust(Path("/a"), b"")),
    "what is pinned": lambda: (Pins.of_user().path, lambda: Pins.of_user().pin(Command("a", ("true",)), {})),
    "the servers": lambda: (user_file(), lambda: add(user_file(), "a", Entry(command="true"))),
    "the model in use": lambda: (data_dir() / "models" / "kept" / "in-use.json", lambda: use("local:a")),
    "what is always allowed": lambda: (config_dir() / "a.json", lambda: _allow(config_dir() / "a.json")),
}


def _allow(path: Path) -> None:
    Book(path).keep(Approval(tool="files.write", pin=""), always=True)


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path))


@pytest.mark.parametrize("what", CHANGES)
def test_a_file_that_another_process_is_changing_is_not_changed_under_it(own, what):
    path, change = CHANGES[what]()
    with ThreadPoolExecutor() as pool:
        with alone(path):
            changing = pool.submit(change)
            with pytest.raises(TimeoutError):
                changing.result(0.3)

            assert not path.exists()

        changing.result(60)

    assert path.exists()


def test_a_process_that_stays_in_the_way_is_told_of(own, tmp_path, monkeypatch):
    monkeypatch.setattr(home, "PATIENCE", 0)
    with alone(state_dir() / "trusted.json"), pytest.raises(ConfigError, match="another process"):
        trust(Path("/a"), b"")

    trust(Path("/a"), b"")
    assert is_trusted(Path("/a"), b"")
