"""What the system refuses about a path, in words that a model can act on and that no terminal obeys."""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Generator

from journeyman.errors import ToolError

MAX_NAME = 200


def told(path: str) -> str:
    """A path for people and models: what is no UTF-8, or controls a terminal, is escaped; a very long one is cut."""
    shown = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in path)
    return shown if len(shown) <= MAX_NAME else f"{shown[:MAX_NAME]}..."


def outside(path: str) -> str:
    return f"{told(path)} is outside the folder the tools may use; give a path inside it"


def demand_file(path: str, status: os.stat_result) -> None:
    """Raises ToolError unless it is a regular file."""
    if stat.S_ISDIR(status.st_mode):
        raise ToolError(f"{told(path)} is a folder, not a file")

    if not stat.S_ISREG(status.st_mode):
        raise ToolError(f"{told(path)} is not a regular file")


@contextlib.contextmanager
def refusals(path: str, hint: Callable[[str], str] | None) -> Generator[None]:
    """Turn an OSError about `path` into a ToolError; `hint` tells what a path that does not exist may have meant."""
    try:
        yield
    except UnicodeEncodeError:
        raise ToolError(f"{told(path)} is no name for a file") from None
    except FileNotFoundError:
        raise ToolError(f"no such file: {told(path)}{hint(path) if hint else ''}") from None
    except OSError as error:
        raise ToolError(_reason(error, path)) from None


def _reason(error: OSError, path: str) -> str:
    if error.errno == errno.EXDEV:
        return outside(path)

    words = {
        errno.ELOOP: " is a link that may not be followed",
        errno.ENOTDIR: " is not a folder",
        errno.EISDIR: " is a folder, not a file",
        errno.EACCES: ": the system denies access",
        errno.EPERM: ": the system denies access",
        errno.ENAMETOOLONG: ": the name is too long",
        errno.ENXIO: " is not a regular file",
        errno.ENOSPC: ": the disk is full",
        errno.EDQUOT: ": the disk quota is used up",
        errno.EROFS: ": this disk is read-only",
    }
    return told(path) + words.get(error.errno or 0, f": {error.strerror}")
