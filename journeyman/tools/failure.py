"""The words for what goes wrong between us and a server: nothing in them is a secret or moves the cursor."""

import re

from journeyman.errors import JourneymanError, ServerError, ToolError
from journeyman.safe import safe
from journeyman.tools.target import Command, Target

ADDRESS = re.compile(r"(https?://)(?:[^\s/?#@]*@)?([^\s/?#'\"]*)[^\s'\"]*")
"""What stands around its host may hold a secret."""


def failed(target: Target, what: str, stderr: str = "", *, maybe_done: bool = False) -> ServerError:
    """That a server did something wrong, with its last words."""
    said = f". It last said: {stderr}" if stderr else ""
    look = f"run it by hand and look: {target}" if isinstance(target, Command) else f"check {target}"
    if isinstance(target, Command) and target.sandbox is not None:
        look += "; if that works, it wants more than the sandbox lets it: journeyman mcp add --help"

    return ServerError(f"MCP server {target.name!r} {what}{said}", fix=safe(look), maybe_done=maybe_done)


def unstarted(target: Target, error: Exception, stderr: str) -> ServerError:
    """Why there is no connection."""
    match error:
        case FileNotFoundError() if isinstance(target, Command):
            program = str(target)
            return ServerError(
                f"MCP server {target.name!r} cannot be started: there is no program {program!r}",
                fix=f"install {program} or correct the command",
            )
        case OSError():
            return failed(target, f"cannot be reached: {error.strerror or error}", stderr)
        case _:
            return failed(target, f"does not answer: {words(error)}", stderr)


def stranger(target: Target) -> ServerError:
    """That somebody has to log in."""
    return ServerError(
        f"MCP server {target.name!r} wants to know who you are", fix=f"journeyman mcp login {target.name}"
    )


def refusal(target: Target, error: Exception, patience: float) -> JourneymanError | None:
    """The error for the caller where the server still lives; None where it is gone."""
    from mcp import MCPError  # noqa: PLC0415
    from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT  # noqa: PLC0415

    error = first(error)
    if isinstance(error, JourneymanError):
        return error

    if isinstance(error, MCPError):
        if error.code == REQUEST_TIMEOUT:
            told = f"gave no result within {patience:g} seconds; the call may or may not have happened"
            return failed(target, told, maybe_done=True)

        return None if error.code == CONNECTION_CLOSED else ToolError(safe(error.message))

    if isinstance(error, ValueError | RuntimeError):
        return ToolError(f"the server's result does not fit what it declared: {safe(str(error), 300)}")

    return None


def first(error: Exception) -> Exception:
    """The first plain error in nested groups."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]

    return error


def words(error: Exception) -> str:
    error = first(error)
    return safe(ADDRESS.sub(r"\1\2", str(error)), 300) or type(error).__name__
