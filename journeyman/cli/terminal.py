"""Asks the person at the terminal whether a call may be made."""

import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import anyio

from journeyman.agent.budget import Spent
from journeyman.policies.finding import sources
from journeyman.safe import safe, shown_call
from journeyman.traces.events import ApprovalAnswered, ApprovalRequested

YES = {"y", "yes"}
NO = {"n", "no", ""}
KEEP: dict[str, Literal["session", "always"]] = {
    "s": "session",
    "session": "session",
    "a": "always",
    "always": "always",
}
GRACE_S = 0.5
"""A key that was on its way when the question appeared answers nothing."""


def someone_there() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


Prompted = Callable[[str], Awaitable[str]]


class AskAtTerminal:
    """An approver: shows the whole call and where each value came from, and takes a person's word for it."""

    def __init__(self, say: Callable[[str], None], prompted: "Prompted | None" = None) -> None:
        """`say` writes a line, `prompted` a question and reads what is answered; on the terminal by default."""
        self._say = say
        self._prompted = prompted or _prompted

    async def __call__(self, request: ApprovalRequested) -> ApprovalAnswered:
        self._say(f"May {safe(request.tool)} be called? ({safe(request.reason)})")
        for line in shown_call(request.tool, request.arguments):
            self._say(f"    {line}")

        for line in sources(request.provenance):
            self._say(f"  - {line}")

        await anyio.sleep(GRACE_S)
        _forget_what_was_typed()
        while True:
            if (answer := await self._asked(request)) is not None:
                return answer.model_copy(update={"token": request.token})

    async def _asked(self, request: ApprovalRequested) -> ApprovalAnswered | None:
        keep = ", s for this session, a always" if request.offer else ""
        answer = await self._prompted(f"  y once{keep}, e to edit, n or n REASON to refuse [n] ")
        word, _, reason = answer.partition(" ")
        yes = ApprovalAnswered(call_id=request.call_id, approved=True)
        match word.lower():
            case said if said in YES:
                return yes
            case said if said in NO:
                return ApprovalAnswered(call_id=request.call_id, approved=False, reason=reason)
            case "e" | "edit":
                arguments = await self._edited(request)
                return yes.model_copy(update={"arguments": arguments}) if arguments is not None else None
            case kept if kept in KEEP and request.offer:
                self._say(f"  to be remembered: {request.offer}")
                sure = await self._prompted(
                    f"  remember it {'for good' if kept[0] == 'a' else 'for this session'}? y or n [n] "
                )
                return yes.model_copy(update={"keep": KEEP[kept]}) if sure.lower() in YES else None
            case _:
                self._say(f"  {safe(word)!r} is none of these answers")
                return None

    async def _edited(self, request: ApprovalRequested) -> dict[str, Any] | None:
        """The arguments as a person writes them; None where they are none."""
        self._say(f"  now: {safe(json.dumps(request.arguments, ensure_ascii=False), None)}")
        try:
            arguments = json.loads(await self._prompted("  the arguments as one JSON object: "))
        except ValueError as error:
            self._say(f"  that is not JSON: {error}")
            return None

        return arguments if isinstance(arguments, dict) else None

    async def more(self, spent: Spent) -> float | None:
        """As much again of what is spent, if the person says so."""
        self._say(f"{spent} Go on with as much again?")
        _forget_what_was_typed()
        return spent.more if (await self._prompted("  y to go on, n to stop here [n] ")).lower() in YES else None


async def _prompted(text: str) -> str:
    sys.stderr.write(text)
    sys.stderr.flush()
    return (await _line()).strip()


def _forget_what_was_typed() -> None:
    """A key pressed before the question was there is no answer to it."""
    if os.name != "nt" and sys.stdin.isatty():
        import termios

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
