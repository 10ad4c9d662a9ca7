"""Whether a server can be used: it is started, asked for its tools, compared with what was pinned, and left."""

from time import perf_counter
from typing import Any

from journeyman.errors import JourneymanError
from journeyman.safe import safe
from journeyman.tools.client import Patience
from journeyman.tools.confined import told
from journeyman.tools.pins import Pins, besides, differences
from journeyman.tools.remote import offered
from journeyman.tools.target import Command, Target, Url
from journeyman.tools.visit import visited
from journeyman.traces.messages import Value

SOON_S = 2.5
"""Unless told otherwise; a person waits."""


class Verdict(Value):
    name: str
    ok: bool
    """It can be used: it answers, and its tools are what they were."""
    era: str = ""
    """The version of the protocol that it speaks."""
    seconds: float = 0.0
    where: str = ""
    """Of a command: in the sandbox and what it may do there, or outside."""
    tools: tuple[str, ...] = ()
    """Those that can be used."""
    left_out: tuple[str, ...] = ()
    """And those that cannot, with the reason."""
    changed: tuple[str, ...] = ()
    """What is not as it was pinned."""
    said: str = ""
    """The end of what it wrote on stderr."""
    problem: str = ""
    fix: str = ""


async def verdict(target: Target, pins: Pins, seconds: float = SOON_S) -> Verdict:
    """Never fails: that a server cannot be started is a verdict too.

    Args:
        target: the server.
        pins: what it may have looked like before.
        seconds: for it to start and to list its tools, and again if it is to be started in the older protocol.
    """
    found: dict[str, Any] = {"name": target.name, "where": told(target) if isinstance(target, Command) else ""}
    begun = perf_counter()
    try:
        async with visited(target, Patience(answer=seconds, start=seconds), await authority(target, pins)) as server:
            tools = await offered(server)
            pinned = pins.of(target)
            changed = tuple(differences(pinned, server.definitions)) if pinned is not None else ()
            before = pins.remembered(target).get("offers", server.offers)
            besides_changed = tuple(differences(besides(before), besides(server.offers)))
            found |= {"era": server.era, "tools": tuple(safe(tool.tool) for tool in tools), "said": server.said}
            found |= {"left_out": tuple(dict.fromkeys(map(safe, server.notices))), "changed": changed + besides_changed}
            if changed:
                found["problem"] = f"MCP server {target.name!r} is in quarantine, its tools are not what they were"
                found["fix"] = f"look: journeyman mcp diff {target.name}; then accept: journeyman mcp pin {target.name}"
    except JourneymanError as error:
        slow = isinstance(error.__cause__, TimeoutError)
        found |= {"problem": str(error), "fix": "give it longer: --patience 20" if slow else error.fix}

    return Verdict(ok="problem" not in found, seconds=round(perf_counter() - begun, 3), **found)


async def authority(target: Target, pins: Pins) -> Any:
    """What authorises requests to a server where somebody has logged in.

    Raises:
        ConfigError: there is no keyring.
    """
    if not isinstance(target, Url) or not pins.remembered(target).get("login"):
        return None

    from journeyman.tools.login import granted  # noqa: PLC0415 - the SDK

    return await granted(target)
