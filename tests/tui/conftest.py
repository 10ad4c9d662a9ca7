import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from journeyman.engine.place import socket_path
from journeyman.tui import approval


@pytest.fixture
def anyio_backend():
    """Textual's own."""
    return "asyncio"


@pytest.fixture(scope="session")
def engine():
    """One engine for all tests of this process."""
    started = _serve(socket_path())
    yield started
    started.send_signal(signal.SIGTERM)
    started.wait(50)


@pytest.fixture
def mortal(tmp_path):
    """Another engine, to be killed, and its socket."""
    place = tmp_path / "e.sock"
    started = _serve(place, "--socket", str(place))
    yield started, place
    started.kill()
    started.wait(50)


def _serve(place: Path, *more: str) -> subprocess.Popen[bytes]:
    started = subprocess.Popen([sys.executable, "-m", "journeyman", "serve", *more], stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not place.exists() and time.monotonic() < deadline and started.poll() is None:
        time.sleep(0.05)

    return started


@pytest.fixture
def folder(tmp_path, engine) -> Path:
    """Where the agent works."""
    made = tmp_path / "work"
    made.mkdir()
    (made / "notes.txt").write_text("hello world\nsecond line\n", "utf-8")
    return made


@pytest.fixture(autouse=True)
def _no_grace(monkeypatch):
    """Answers count at once, but where a test says otherwise."""
    monkeypatch.setattr(approval, "GRACE_S", 0.0)
    monkeypatch.setattr(approval, "HOLD_S", 0.001)
