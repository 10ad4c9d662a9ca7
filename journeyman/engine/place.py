"""Where the engine listens: a socket that only this user can reach.

Linux allows a socket's path 107 bytes; a longer one is reached through its folder's descriptor.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from journeyman.errors import ConfigError
from journeyman.home import state_dir

LONGEST = 100


def folder() -> Path:
    """The engine's own folder, for its owner alone.

    Raises:
        ConfigError: it cannot be made, or others can look into it.
    """
    path = state_dir() / "engine"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        told = "Set a place that can be written: JOURNEYMAN_HOME=FOLDER"
        raise ConfigError(f"The engine's folder {path} cannot be used: {error.strerror}.", fix=told) from error

    return path


def socket_path() -> Path:
    """One for each version: an engine of another one is none to talk to."""
    return folder() / f"{version('journeyman')}.sock"


def log_path() -> Path:
    return folder() / "engine.log"


@contextmanager
def short(path: Path) -> Generator[str]:
    """The path in a form that fits into a socket's address."""
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return

    descriptor = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)
