"""Where journeyman keeps its things, and what in a project its user has trusted.

`JOURNEYMAN_HOME` puts everything under one folder; without it each kind lives where the platform wants it. Nothing is
created by asking for a path.

A project's own files may start programs and loosen rules, and a project can be a clone of somebody else's: such a file
counts only while its content has the hash that the user once trusted.
"""

import errno
import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes, token_hex
from time import monotonic, sleep

from platformdirs import PlatformDirs

from journeyman.errors import ConfigError

if sys.platform != "win32":  # there the last of two that write at once has its way
    import fcntl

PATIENCE = 10.0
"""Seconds that we wait for another process to let go of a file."""

_dirs = PlatformDirs("journeyman", appauthor=False)


def data_dir() -> Path:
    """Traces and models: what the user would back up."""
    return _dir("data", _dirs.user_data_path)


def config_dir() -> Path:
    """What the user writes: `config.toml`, `policy.toml`, `mcp.json`."""
    return _dir("config", _dirs.user_config_path)


def cache_dir() -> Path:
    """What can be made again."""
    return _dir("cache", _dirs.user_cache_path)


def state_dir() -> Path:
    """What journeyman remembers: trusted files, logs of servers."""
    return _dir("state", _dirs.user_state_path)


def replace_text(path: Path, text: str, *, mode: int | None = None) -> None:
    """Write a file, in a folder that is made if need be: whoever reads or is killed meanwhile finds the old one whole.

    Args:
        path: a link there is replaced, not followed.
        text: the whole of it, as UTF-8.
        mode: its permissions; without, those of the old one stay.

    Raises:
        OSError: it cannot be written; the old one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode is None and path.is_file():
        mode = path.stat().st_mode & 0o777

    fresh = path.with_name(f".{path.name}.{token_hex(8)}.tmp")  # nobody's yet, and not to be foreseen
    bits = 0o666 if mode is None else mode
    try:
        with open(
            fresh, "x", encoding="utf-8", newline="", opener=lambda name, flags: os.open(name, flags, bits)
        ) as file:
            if mode is not None:
                fresh.chmod(mode)  # whatever the umask says

            file.write(text)

        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def alone(path: Path) -> Generator[None]:
    """Read a file and write it anew while no other process of ours does: what it added meanwhile would be lost.

    Raises:
        OSError: its folder, which is what is locked, cannot be made, or another has it for too long.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return

    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not lock(folder, PATIENCE):
            raise TimeoutError(errno.ETIMEDOUT, "another process has its folder for too long", str(path))

        yield
    finally:
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_UN)  # also for copies that a forked child may have

        os.close(folder)


def lock(descriptor: int, seconds: float = 0) -> bool:
    """Lock an open file or folder until it is closed; False where another has it for so many seconds.

    It goes with the process, however that ends. A file system without locks locks nothing.
    """
    if sys.platform == "win32":
        return True

    end = monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() >= end:
                return False

            sleep(0.005)
        except OSError:
            return True
        else:
            return True


def _dir(kind: str, platform: Path) -> Path:
    home = os.environ.get("JOURNEYMAN_HOME")
    return Path(home).expanduser().absolute() / kind if home else platform


def placeholder_key() -> bytes:
    """What the placeholders of secrets are hashed with: this user's own, made once.

    Where it cannot be kept it holds for this process only: a run that is resumed then has lost its secrets.
    """
    path = state_dir() / "placeholders.key"
    drawn = token_bytes(32)
    with suppress(OSError):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_suffix(f".{token_hex(8)}.tmp")
            fresh.touch(mode=0o600, exist_ok=False)
            fresh.write_bytes(drawn)
            with suppress(FileExistsError):
                os.link(fresh, path)  # whole, or not at all

            fresh.unlink()

        return path.read_bytes()

    return drawn


def is_trusted(path: Path, data: bytes) -> bool:
    """Has the user trusted this file with exactly these bytes, which are what will be used?"""
    try:
        return _trusted().get(_key(path)) == sha256(data).hexdigest()
    except OSError:
        return False


def trust(path: Path, data: bytes) -> None:
    """Trust the file with these bytes, which the user has seen; any change to it ends that.

    Raises:
        ConfigError: the answer cannot be kept.
    """
    book = _book()
    try:
        with alone(book):
            entries = _trusted() | {_key(path): sha256(data).hexdigest()}
            replace_text(book, json.dumps(entries, indent=2))
    except OSError as error:
        raise ConfigError(
            f"cannot remember that {path} is trusted: {error}",
            fix=f"make {book.parent} writable, or point JOURNEYMAN_HOME at a folder that is",
        ) from error


def _key(path: Path) -> str:
    """Its place in its own folder: a link there does not share the trust of what it points to."""
    return str(path.parent.resolve() / path.name)


def _book() -> Path:
    return state_dir() / "trusted.json"


def _trusted() -> dict[str, str]:
    try:
        entries = json.loads(_book().read_text("utf-8"))
    except (FileNotFoundError, ValueError):  # an unreadable book trusts nothing
        return {}

    return entries if isinstance(entries, dict) else {}
