"""Copying that tells the truth: what took the text, and a file that has it whatever a terminal did."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from journeyman.errors import ConfigError
from journeyman.home import state_dir

PROGRAMS = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
    ("", ("pbcopy",)),
    ("TMUX", ("tmux", "load-buffer", "-w", "-")),
)
PATIENCE_S = 3


def copy(text: str, terminal: Callable[[str], None]) -> str:
    """Copy a text; says where it went. `terminal` sends it to the terminal's own clipboard.

    Raises:
        ConfigError: the file beside it cannot be written.
    """
    file = _kept(text)
    for variable, command in PROGRAMS:
        if (not variable or os.environ.get(variable)) and shutil.which(command[0]) and _gave(command, text):
            return f"Copied by {command[0]}; also in {file}"

    terminal(text)
    return f"Sent to the terminal, which may ignore it; also in {file}"


def _kept(text: str) -> Path:
    path = state_dir() / "copied.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="replace", opener=_private) as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error}.", fix="Make room, or make the folder yours.") from error

    return path


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _gave(command: tuple[str, ...], text: str) -> bool:
    try:
        done = subprocess.run(
            command,
            input=text.encode("utf-8", "replace"),
            timeout=PATIENCE_S,
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False

    return done.returncode == 0
