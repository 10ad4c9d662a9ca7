"""Asks the person at the terminal whether a call may be made."""

import json
import os
import signal
import sys

import anyio

from journeyman.agent.budget import Spent
from journeyman.cli.progress import Progress
from journeyman.safe import safe
from journeyman.traces.events import ApprovalAnswered, ApprovalRequested

YES = {"y", "yes"}
NO = {"n", "no", ""}


def someone_there() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


class AskAtTerminal:
    """An approver: shows the whole call, takes y or n; a line after n is the reason the model reads."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    async def __call__(self, request: ApprovalRequested) -> ApprovalAnswered:
        self._progress.line(f"May {safe(request.tool)} be called? ({safe(request.reason)})")
        for name, value in request.arguments.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            shown = safe(text, None, lines=True).replace("\n", "\n      ")
            self._progress.line(f"    {safe(name)}: {shown}")

        _forget_what_was_typed()
        while True:
            sys.stderr.write("  y to allow, n to refuse (n REASON tells the model why) [n] ")
            sys.stderr.flush()
            answer = (await _line()).strip()
            word, _, reason = answer.partition(" ")
            if word.lower() in YES:
                return ApprovalAnswered(call_id=request.call_id, approved=True)

            if word.lower() in NO:
                return ApprovalAnswered(call_id=request.call_id, approved=False, reason=reason)

    async def more(self, spent: Spent) -> float | None:
        """As much again of what is spent, if the person says so."""
        self._progress.line(f"{spent} Go on with as much again?")
        _forget_what_was_typed()
        sys.stderr.write("  y to go on, n to stop here [n] ")
        sys.stderr.flush()
        return spent.more if (await _line()).strip().lower() in YES else None


def _forget_what_was_typed() -> None:
    """A key pressed before the question was there is no answer to it."""
    if os.name != "nt":
        import termios  # noqa: PLC0415 - not there on Windows

        termios.tcflush(sys.stdin, termios.TCIFLUSH)


async def _line() -> str:
    """A line from stdin, without blocking the event loop or outliving a cancelled run; end of input is an empty one."""
    if os.name == "nt":  # a console cannot be waited for there
        return await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)

    await anyio.wait_readable(sys.stdin)
    return sys.stdin.readline()


def stop_on_sigterm() -> None:
    """Let SIGTERM end the run as Ctrl-C does: with an end in its trace and exit code 130."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
