"""Attacks on the channel between the caller and the sandbox: replies that are forged, early, endless or none."""

import time
from pathlib import Path

from journeyman.errors import JourneymanError
from journeyman.sandbox.attacks.attack import Arena, Escaped, attack, ended, unless
from journeyman.sandbox.attacks.witness import GROWN_MB, READ_S, peak_mb

LIES = "ALL TESTS PASSED"
BURNT_MS = 100
"""Less than what the code that lies about it has used."""


@attack("host", "a reply in the sandbox's own words: that nothing was used, and what was never printed")
async def forged_reply(arena: Arena) -> str:
    notes = set()
    for lie in _LIES:
        async with arena.open() as box:
            result = await box.run(f"{CHANNELS}{_REPLY}{_BURN}push(reply({lie}))\nos._exit(7)")
            if LIES in result.stdout or (result.status == "ok" and result.cpu_ms < BURNT_MS):
                raise Escaped(f"the caller believed {lie}")

            notes.add(ended(result))

    return "; ".join(sorted(notes))


@attack("host", "a reply in the sandbox's own words, kept for the next question")
async def early_reply(arena: Arena) -> str:
    async with arena.open() as box:
        await box.run(FORGE)
        try:
            after = await box.sandbox.run_python("6 * 7")
        except JourneymanError as error:
            return str(error)

        return unless(after.status == "ok" and after.value not in {"42", None}, f"{after.value} came", ended(after))


@attack("host", "hundreds of megabytes on the sandbox's own channel")
async def reply_flood(arena: Arena) -> str:
    async with arena.open() as box:
        before = peak_mb()
        result = await box.run(_FLOOD)
        grown = peak_mb() - before
        return unless(result.status == "ok" or grown > GROWN_MB, f"{result.status}, {grown} MB kept", ended(result))


@attack("host", "bytes on the sandbox's own channel that are no reply")
async def malformed_frame(arena: Arena) -> str:
    notes = set()
    for data in _MALFORMED:
        async with arena.open() as box:
            result = await box.run(f"{CHANNELS}\npush({data!r})\ntime.sleep(20)", timeout=1)
            if result.status == "ok":
                raise Escaped(f"{data[:20]!r} was taken for a reply")

            notes.add(result.status)

    return ", ".join(sorted(notes))


@attack("host", "open files handed over through the sandbox's own channel")
async def file_smuggling(arena: Arena) -> str:
    async with arena.open() as box:
        await box.run("1")
        before = len(list(Path("/proc/self/fd").iterdir()))
        result = await box.run(_SMUGGLE)
        grown = len(list(Path("/proc/self/fd").iterdir())) - before
        return unless(grown > 0, f"the caller has {grown} more open files", box.note(result))


@attack("host", "a reply of which the last byte never comes")
async def slow_reply(arena: Arena) -> str:
    async with arena.open() as box:
        started = time.monotonic()
        result = await box.run(f"{CHANNELS}\npush(bytes([0, 0, 0, 2]))\ntime.sleep(30)", timeout=1)
        return unless(time.monotonic() - started > READ_S, "the caller was kept waiting", ended(result))


CHANNELS = """
def push(data, times=1):
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            for _ in range(times):
                attempt(os.write, int(name), data)
"""
_REPLY = f"""
lie = b"{LIES}"
def reply(header):
    text = json.dumps(header).encode()
    body = lie if header.get("parts") else b""
    return struct.pack(">II", len(text), len(body)) + text + body
"""
_BURN = """
end = time.process_time() + 0.2
while time.process_time() < end:
    pass
"""
_LIES = (
    '{"status": "ok", "cpu_ms": 0, "rss_kb": 0, "parts": []}',
    '{"status": "ok", "cpu_ms": 0, "parts": [["stdout", len(lie)]]}',
    '{"status": "lost", "cpu_ms": 0, "parts": []}',
)
FORGE = CHANNELS + _REPLY + "\n".join(f"push(reply({lie}))" for lie in _LIES) + "\n"
_FLOOD = CHANNELS + "push(b'x' * (8 << 20), 32)\nos._exit(0)"
_MALFORMED = (
    b"\xff" * 64,
    b"\0\0\0\x02\0\0\0\0[]",
    b"\0\0\0\x04\0\0\0\0nope",
    b"\0\0\x40\0\0\0\0\0" + b"[" * 16384,
    b'\0\0\0\x22\0\0\0\0{"status": "ok", "parts": 12345678}',
    b'\0\0\0\x2d\0\0\0\0{"status": "ok", "parts": [["value", 99999]]}',
    b"HTTP/1.1 200 OK\r\n\r\n",
)
_SMUGGLE = """
for name in os.listdir("/proc/self/fd"):
    if int(name) > 2:
        channel = attempt(lambda: socket.socket(fileno=os.dup(int(name))))
        for _ in range(8):
            attempt(socket.send_fds, channel, [b"x"], [0] * 8)
"""
