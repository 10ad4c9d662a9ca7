"""What the user has chosen about this UI: `tui.toml` in the configuration folder, which no project can set.

theme = "journeyman-dark"      # any of Ctrl+P, theme
mouse = true                   # false: the terminal's own selection
bell = true                    # when something waits for you
[keys]                         # by the names that F1 lists
"app.traces" = "f6"
"""

import os
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from journeyman.errors import ConfigError
from journeyman.home import config_dir


class Choice(NamedTuple):
    theme: str = ""
    mouse: bool = True
    bell: bool = True
    keys: dict[str, str] = {}


KINDS: dict[str, type] = {"theme": str, "mouse": bool, "bell": bool, "keys": dict}


def path() -> Path:
    return config_dir() / "tui.toml"


def chosen() -> Choice:
    """What the file says; the defaults where there is none.

    Raises:
        ConfigError: it cannot be read, or says something that means nothing.
    """
    try:
        found: dict[str, Any] = tomllib.loads(path().read_text("utf-8"))
    except FileNotFoundError:
        return Choice()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path()} cannot be read: {error}.", fix="Mend it, or delete it.") from error

    for name, value in found.items():
        kind = KINDS.get(name)
        if kind is None or not isinstance(value, kind):
            what = f"is a {kind.__name__}" if kind else "is no setting of the terminal UI"
            raise ConfigError(f"{path()}: {name!r} {what}.", fix=f"There are {', '.join(KINDS)}.")

    for name, key in found.get("keys", {}).items():
        if not isinstance(key, str):
            raise ConfigError(f"{path()}: keys.{name} is no text.", fix='Write "ctrl+t", or several with commas.')

    return Choice(**found)


def theme(choice: Choice) -> str:
    """The theme that is wished for; without a wish the terminal's own colours where it has few."""
    if os.environ.get("NO_COLOR"):
        return "ansi-dark"

    if choice.theme:
        return choice.theme

    few = os.environ.get("TERM", "") in {"linux", "vt100", "xterm", "screen"} and not os.environ.get("COLORTERM")
    return "ansi-dark" if few else "journeyman-dark"
