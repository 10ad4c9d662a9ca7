"""Attacks on the caller: through the files it reads, the channel it listens to, and the text that it shows."""

import resource
import time
from pathlib import Path

import anyio

from journeyman.errors import JourneymanError
from journeyman.safe import safe
from journeyman.sandbox.attacks.attack import Arena, Box, Escaped, attack
from journeyman.sandbox.sandbox import CellResult, Ran

LIES = "ALL TESTS PASSED"
READ_S = 5
GROWN_MB = 128
BURNT_MS = 100
"""Less than what the code that lies about it has used."""


@attack("host", "a link in the workspace to a file outside, read by the caller")
async def symlink(arena: Arena) -> str:
    async with arena.open() as box:
        await box.run(f"os.symlink({str(arena.file)!r}, 'a'); os.symlink({str(arena.folder)!r}, 'b')")
        return await _reads(box, "a", "b/secret.txt", "../../../../../.." + str(arena.file), str(arena.file))


@attack("host", "a pipe in the workspace that nobody writes to, read by the caller")
async def fifo(arena: Arena) -> str:
    async with arena.open() as box:
        await box.run("os.mkfifo('a')")
        return await _reads(box, "a")


@attack("host", "a file in the workspace that is larger than the caller's memory, read by the caller")
async def huge_file(arena: Arena) -> str:
    async with arena.open() as box:
        await box.run("for size in (1 << 38, 1 << 30, 60 << 20):\n    attempt(open('a', 'wb').truncate, size)")
        before = _peak_mb()
        note = await _reads(box, "a")
        return _unless(_peak_mb() - before > GROWN_MB, "the caller took it all into memory", note)


@attack("host", "a second name in the workspace for a file outside, read by the caller")
async def hard_link(arena: Arena) -> str:
    async with arena.open() as box:
        await box.run(f"attempt(os.link, {str(arena.file)!r}, 'a'); attempt(os.link, '/proc/1/environ', 'b')")
        return await _reads(box, "a", "b")


@attack("host", "a folder that turns into a link outside while the caller looks")
async def path_swap(arena: Arena) -> str:
    async with arena.open() as box:
        await box.run(_SWAP.format(target=str(arena.folder)))
        notes = {await _reads(box, "d/secret.txt") for _ in range(100)}
        return "; ".join(sorted(notes))


@attack("host", "a write by the caller through a link that leads outside")
async def write_through(arena: Arena) -> str:
    arena.folder.chmod(0o777)
    async with arena.open() as box:
        await box.run(f"os.symlink({str(arena.folder)!r}, 'd'); os.symlink({str(arena.folder / 'w')!r}, 'w')")
        notes = []
        for path in ("d/written", "w", "../w", str(arena.folder / "w")):
            try:
                await box.sandbox.write(path, b"x")
            except JourneymanError as error:
                notes.append(str(error))

        arena.folder.chmod(0o755)
        written = {path.name for path in arena.folder.iterdir()} - {arena.file.name, "socket"}
        return _unless(written, f"{', '.join(written)} appeared outside", "; ".join(notes))


@attack("host", "an archive of the workspace that unpacks outside of it")
async def archive_traversal(arena: Arena) -> str:
    arena.folder.chmod(0o777)
    async with arena.open() as box:
        await box.run(_ARCHIVE.format(target=str(arena.folder)))
        state = await box.sandbox.snapshot()
        await box.run("os.unlink('d'); os.mkdir('d'); open('d/unpacked', 'w').close()")
        await box.sandbox.snapshot()
        await box.sandbox.restore(state)
        branch = (await box.sandbox.branch(1))[0]
        await branch.close()
        arena.folder.chmod(0o755)
        written = {path.name for path in arena.folder.iterdir()} - {arena.file.name, "socket"}
        return _unless(written, f"{', '.join(written)} appeared outside", "links stay links")


@attack("host", "changes to the folder that the workspace began with")
async def seed_folder(arena: Arena) -> str:
    seed = arena.folder / "seed"
    seed.mkdir(mode=0o777)
    (seed / "kept.txt").write_text("kept", "utf-8")
    async with arena.open(workspace=seed) as box:
        result = await box.run("open('kept.txt', 'a').write('!'); open('new', 'w').close(); os.listdir('.')")
        state = {path.name: path.read_text("utf-8") for path in seed.iterdir()}
        return _unless(state != {"kept.txt": "kept"}, f"the folder now holds {state}", box.note(result))


@attack("host", "names of files that leave the folder, steer a terminal or are no text")
async def artefact_names(arena: Arena) -> str:
    async with arena.open() as box:
        await box.run(_NAMES)
        names = [entry.name for entry in await box.sandbox.list()] + list(await box.sandbox.artefacts())
        bad = [name for name in names if name.startswith("/") or ".." in name.split("/") or "\0" in name]
        shown = [name for name in names if not safe(name, None).isprintable()]
        return _unless(bad or shown, f"such as {(bad + shown)[:1]}", f"{len(names)} names, all inside")


@attack("host", "a reply in the sandbox's own words: that nothing was used, and what was never printed")
async def forged_reply(arena: Arena) -> str:
    notes = set()
    for lie in _LIES:
        async with arena.open() as box:
            result = await box.run(f"{CHANNELS}{_REPLY}{_BURN}push(reply({lie}))\nos._exit(7)")
            if LIES in result.stdout or (result.status == "ok" and result.cpu_ms < BURNT_MS):
                raise Escaped(f"the caller believed {lie}")

            notes.add(_ended(result))

    return "; ".join(sorted(notes))


@attack("host", "a reply in the sandbox's own words, kept for the next question")
async def early_reply(arena: Arena) -> str:
    async with arena.open() as box:
        await box.run(FORGE)
        try:
            after = await box.sandbox.run_python("6 * 7")
        except JourneymanError as error:
            return str(error)

        return _unless(after.status == "ok" and after.value not in {"42", None}, f"{after.value} came", _ended(after))


@attack("host", "hundreds of megabytes on the sandbox's own channel")
async def reply_flood(arena: Arena) -> str:
    async with arena.open() as box:
        before = _peak_mb()
        result = await box.run(_FLOOD)
        grown = _peak_mb() - before
        return _unless(result.status == "ok" or grown > GROWN_MB, f"{result.status}, {grown} MB kept", _ended(result))


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
        return _unless(grown > 0, f"the caller has {grown} more open files", box.note(result))


@attack("host", "the caller's environment in a program that it starts inside")
async def program_environment(arena: Arena) -> str:
    async with arena.open() as box:
        result = await box.sandbox.exec(["env"])
        arena.refuse_secret(result.stdout, result.stderr)
        return " ".join(sorted(line.partition("=")[0] for line in result.stdout.splitlines())) or _ended(result)


@attack("host", "the caller's memory, files and folders through /proc")
async def caller_in_proc(arena: Arena) -> str:
    async with arena.open() as box:
        result = await box.run(_PROC.format(file=str(arena.file)))
        arena.refuse_secret(result.stdout, result.value or "")
        return box.note(result)


@attack("host", "the end of whoever watches over the code")
async def kill_supervisor(arena: Arena) -> str:
    async with arena.open() as box:
        result = await box.run("[attempt(os.kill, pid, 9) for pid in (os.getppid(), 1)]; time.sleep(30)", timeout=2)
        return _unless(result.status == "ok", "the cell came to an end that nobody saw", _ended(result))


@attack("host", "text that steers the terminal in which it is shown")
async def terminal_escapes(arena: Arena) -> str:
    async with arena.open() as box:
        result = await box.run(_ESCAPES)
        texts = (result.stdout, result.stderr, result.error, result.value or "", *result.denials)
        bare = [text for text in texts if not safe(text, None, lines=True).replace("\n", "").isprintable()]
        return _unless(bare, "a control character came through", "all spelled out")


@attack("host", "text that is no text: half characters, zero bytes, endless lines")
async def unprintable_output(arena: Arena) -> str:
    async with arena.open() as box:
        result = await box.run("os.write(1, b'\\xff\\x00\\xed\\xa0\\x80' * 9000); '\\ud800\\0' * 9000")
        return f"{len(result.model_dump_json())} bytes of JSON, {result.status}"


@attack("host", "output of one byte at a time, for ever")
async def slow_output(arena: Arena) -> str:
    async with arena.open() as box:
        started = time.monotonic()
        result = await box.run("while True:\n    print(end='.', flush=True); time.sleep(0.05)", timeout=1)
        return _unless(time.monotonic() - started > READ_S, "the caller was kept waiting", _ended(result))


@attack("host", "a reply of which the last byte never comes")
async def slow_reply(arena: Arena) -> str:
    async with arena.open() as box:
        started = time.monotonic()
        result = await box.run(f"{CHANNELS}\npush(bytes([0, 0, 0, 2]))\ntime.sleep(30)", timeout=1)
        return _unless(time.monotonic() - started > READ_S, "the caller was kept waiting", _ended(result))


@attack("host", "another time of day for the host, and a cell that says it took none")
async def clock(arena: Arena) -> str:
    async with arena.open() as box:
        gap = time.time() - time.monotonic()
        result = await box.run(_CLOCK)
        if abs(time.time() - time.monotonic() - gap) > 1:
            raise Escaped("the host's clock was set")

        return _unless(0 < result.wall_ms < 300, f"0.4 s passed, {result.wall_ms:.0f} ms are told", _ended(result))  # noqa: PLR2004


async def _reads(box: Box, *paths: str) -> str:
    notes = []
    for path in paths:
        try:
            with anyio.fail_after(READ_S):
                box.arena.refuse_secret(await box.sandbox.read(path))
        except JourneymanError as error:
            notes.append(str(error))

    return "; ".join(notes) or "read, and nothing of the host was in it"


def _unless(evidence: object, words: str, held: str) -> str:
    if evidence:
        raise Escaped(words)

    return held


def _ended(result: CellResult | Ran) -> str:
    return f"{result.status}: {result.error.splitlines()[-1]}" if result.error else result.status


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


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
_SWAP = """
os.mkdir("d")
open("d/secret.txt", "w").write("harmless")
os.symlink("{target}", "l")
if os.fork() == 0:
    for stream in (0, 1, 2):
        os.close(stream)
    libc = ctypes.CDLL(None)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        libc.renameat2(-100, b"d", -100, b"l", 2)
    os._exit(0)
"""
_ARCHIVE = """
import io, tarfile
os.symlink("{target}", "d")
with tarfile.open("a.tar", "w") as tar:
    for name in ("../unpacked", "{target}/unpacked", "d/unpacked"):
        tar.addfile(tarfile.TarInfo(name), io.BytesIO())
"""
_NAMES = r"""
for name in (b"\x1b]0;x\x07", b"\xe2\x80\xaegnp.exe", b"new\nline", b"\xff\xfe", b"-rf", b"a" * 255, b" ", b"..."):
    attempt(lambda: os.close(os.open(name, os.O_CREAT | os.O_WRONLY)))
    attempt(os.mkdir, name + b"d")
"""
_SMUGGLE = """
for name in os.listdir("/proc/self/fd"):
    if int(name) > 2:
        channel = attempt(lambda: socket.socket(fileno=os.dup(int(name))))
        for _ in range(8):
            attempt(socket.send_fds, channel, [b"x"], [0] * 8)
"""
_PROC = """
found = []
for pid in (CALLER, os.getppid(), 1):
    for name in ("environ", "cmdline", "maps", "mem", "root{file}", "cwd/secret.txt"):
        found.append(attempt(everything, f"/proc/{{pid}}/{{name}}"))
    for name in attempt(os.listdir, f"/proc/{{pid}}/fd"):
        found.append(attempt(everything, f"/proc/{{pid}}/fd/{{name}}"))
print(*found)
sorted({{str(one)[:60] for one in found}})
"""
_ESCAPES = r"""
text = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\u202egnp\r\x08 \u200b\x00"
print(text)
print(text, file=sys.stderr)
raise PermissionError(text)
"""
_CLOCK = """
libc = ctypes.CDLL(None, use_errno=True)
future = struct.pack("qq", 4_000_000_000, 0)
told = [libc.clock_settime(0, future), libc.settimeofday(future, None), ctypes.get_errno()]
time.sleep(0.4)
time.monotonic = time.perf_counter = time.time = lambda: 0.0
told
"""
