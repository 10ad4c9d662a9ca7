"""Attacks on the caller: through the files it reads, the programs it starts, and the text that it shows."""

import time

import anyio

from journeyman.errors import JourneymanError
from journeyman.safe import safe
from journeyman.sandbox.attacks.attack import Arena, Box, Escaped, attack, ended, unless
from journeyman.sandbox.attacks.witness import GROWN_MB, READ_S, peak_mb


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
        before = peak_mb()
        note = await _reads(box, "a")
        return unless(peak_mb() - before > GROWN_MB, "the caller took it all into memory", note)


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
        return unless(written, f"{', '.join(written)} appeared outside", "; ".join(notes))


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
        return unless(written, f"{', '.join(written)} appeared outside", "links stay links")


@attack("host", "changes to the folder that the workspace began with")
async def seed_folder(arena: Arena) -> str:
    seed = arena.folder / "seed"
    seed.mkdir(mode=0o777)
    (seed / "kept.txt").write_text("kept", "utf-8")
    async with arena.open(workspace=seed) as box:
        result = await box.run("open('kept.txt', 'a').write('!'); open('new', 'w').close(); os.listdir('.')")
        state = {path.name: path.read_text("utf-8") for path in seed.iterdir()}
        return unless(state != {"kept.txt": "kept"}, f"the folder now holds {state}", box.note(result))


@attack("host", "names of files that leave the folder, steer a terminal or are no text")
async def artefact_names(arena: Arena) -> str:
    async with arena.open() as box:
        await box.run(_NAMES)
        names = [entry.name for entry in await box.sandbox.list()] + list(await box.sandbox.artefacts())
        bad = [name for name in names if name.startswith("/") or ".." in name.split("/") or "\0" in name]
        shown = [name for name in names if not safe(name, None).isprintable()]
        return unless(bad or shown, f"such as {(bad + shown)[:1]}", f"{len(names)} names, all inside")


@attack("host", "the caller's environment in a program that it starts inside")
async def program_environment(arena: Arena) -> str:
    async with arena.open() as box:
        result = await box.sandbox.exec(["env"])
        arena.refuse_secret(result.stdout, result.stderr)
        return " ".join(sorted(line.partition("=")[0] for line in result.stdout.splitlines())) or ended(result)


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
        return unless(result.status == "ok", "the cell came to an end that nobody saw", ended(result))


@attack("host", "text that steers the terminal in which it is shown")
async def terminal_escapes(arena: Arena) -> str:
    async with arena.open() as box:
        result = await box.run(_ESCAPES)
        texts = (result.stdout, result.stderr, result.error, result.value or "", *result.denials)
        bare = [text for text in texts if not safe(text, None, lines=True).replace("\n", "").isprintable()]
        return unless(bare, "a control character came through", "all spelled out")


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
        return unless(time.monotonic() - started > READ_S, "the caller was kept waiting", ended(result))


@attack("host", "another time of day for the host, and a cell that says it took none")
async def clock(arena: Arena) -> str:
    async with arena.open() as box:
        gap = time.time() - time.monotonic()
        result = await box.run(_CLOCK)
        if abs(time.time() - time.monotonic() - gap) > 1:
            raise Escaped("the host's clock was set")

        return unless(0 < result.wall_ms < 300, f"0.4 s passed, {result.wall_ms:.0f} ms are told", ended(result))  # noqa: PLR2004


async def _reads(box: Box, *paths: str) -> str:
    notes = []
    for path in paths:
        try:
            with anyio.fail_after(READ_S):
                box.arena.refuse_secret(await box.sandbox.read(path))
        except JourneymanError as error:
            notes.append(str(error))

    return "; ".join(notes) or "read, and nothing of the host was in it"


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
