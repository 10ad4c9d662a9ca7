"""A verdict on any server, however it behaves."""

import pytest
from inline_snapshot import snapshot

from journeyman.tools.pins import Pins
from journeyman.tools.target import Command
from journeyman.tools.verdict import verdict
from journeyman.tools.visit import definitions
from tests.tools.test_pins import TOOL, changed, offers
from tests.tools.test_server import raw

__all__ = ["offers"]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.parametrize("kind", ["silent", "deaf", "endless", "dying", "secretive"])
async def test_a_server_that_cannot_be_used_gets_a_verdict_in_bounded_time(tmp_path, kind):
    found = await verdict(raw(kind), Pins(tmp_path / "mcp.lock"), 1.0)
    assert (found.ok, found.tools, bool(found.problem), bool(found.fix)) == (False, (), True, True)


@pytest.mark.parametrize("kind", ["noisy", "old", "bad_schema", "fetching", "typed"])
async def test_a_server_that_is_merely_odd_can_be_used(tmp_path, kind):
    found = await verdict(raw(kind), Pins(tmp_path / "mcp.lock"), 20.0)
    assert (found.ok, found.problem, found.era) == (True, "", "2025-06-18")


async def test_a_program_that_is_not_there_is_named(tmp_path):
    found = await verdict(Command("gone", ("no-such-program",)), Pins(tmp_path / "mcp.lock"))
    assert (found.problem, found.fix) == snapshot(
        (
            "MCP server 'gone' cannot be started: there is no program 'no-such-program'",
            "install no-such-program or correct the command",
        )
    )


async def test_a_server_that_is_not_what_was_pinned_is_not_fine(offers, tmp_path):
    pins = Pins(tmp_path / "mcp.lock")
    assert (await verdict(offers(TOOL), pins, 20.0)).ok
    pins.pin(offers(TOOL), await definitions(offers(TOOL)))
    found = await verdict(offers(changed(title="Better")), pins, 20.0)
    assert (found.ok, found.changed, found.fix) == (
        False,
        ('~ fine: title: "Fine" -> "Better"',),
        "look: journeyman mcp diff raw; then accept: journeyman mcp pin raw",
    )
