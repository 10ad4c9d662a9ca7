"""A supervisor that was taken over may answer anything: the host comes to a result or a SandboxError, never to harm."""

import json
import socket

import pytest

from journeyman.errors import SandboxError
from journeyman.sandbox.box import GONE, Box
from journeyman.sandbox.inside.frames import joined, pack
from journeyman.sandbox.sandbox import Probe, Spec
from journeyman.sandbox.wire import Wire

TOLD = {"status": "ok", "cpu_ms": 1.0, "rss_kb": 1}


class Hostile:
    """A line whose other end has already answered."""

    def __init__(self, answer: bytes) -> None:
        ours, self.theirs = socket.socketpair()
        self.theirs.sendall(answer)
        self.theirs.shutdown(socket.SHUT_WR)
        self.stream = Wire(ours)

    async def end(self) -> None:
        self.theirs.close()

    def oom(self) -> bool:
        return False


def taken_over(answer: bytes) -> Box:
    async def again(_: Spec) -> Box:
        raise AssertionError

    return Box(Spec(), Probe(backend="hostile", available=True), Hostile(answer), again)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"", "lost"),
        (b"\xff" * 100, "lost"),
        (pack({})[:-1], "lost"),
        (pack({"op": "cell"}), "protocol_violation"),
        (pack({**TOLD, "status": "fine"}), "protocol_violation"),
        (pack({**TOLD, "rss_kb": "much"}), "protocol_violation"),
        (pack({**TOLD, "parts": [["stdout", 10**9]]}), "protocol_violation"),
        (joined({**TOLD, "cpu_ms": [1]}, []), "protocol_violation"),
    ],
)
async def test_a_cell_whose_answer_is_nonsense_is_a_result(answer: bytes, status: str):
    box = taken_over(answer)
    result = await box.run_python("1")
    assert result.status == status
    assert result.error in {GONE, "the sandbox answered nonsense"}
    await box.close()


async def test_bytes_that_are_no_text_are_replaced():
    box = taken_over(joined(TOLD, [("stdout", b"\xff\x1b[2J"), ("value", b"\x80")]))
    result = await box.run_python("1")
    assert (result.stdout, result.value) == ("\ufffd\x1b[2J", "\ufffd")
    await box.close()


@pytest.mark.parametrize("body", [b"", b"{", b"[[1, 2]]", b"[" * 100_000, json.dumps(["a", 1]).encode()])
async def test_a_list_that_is_nonsense_is_an_error(body: bytes):
    for ask in (Box.list, Box.artefacts):
        box = taken_over(pack({}, body))
        with pytest.raises(SandboxError, match="nonsense"):
            await ask(box)

        await box.close()
