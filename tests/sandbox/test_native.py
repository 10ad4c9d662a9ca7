"""Each promise of the backends made of Linux's own parts, kept by the real thing."""

import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from secrets import randbelow
from threading import Thread
from typing import TypeVar

import anyio
import pytest
from anyio.lowlevel import checkpoint
from inline_snapshot import snapshot

from journeyman.errors import SandboxError, ToolError
from journeyman.sandbox.box import Box
from journeyman.sandbox.forked import FIX
from journeyman.sandbox.native import Native
from journeyman.sandbox.sandbox import CellResult, ExecResult, Limits, Ran, Spec
from journeyman.sandbox.server import running
from tests.need import need

NATIVE, LANDLOCK = Native(), Native(namespaces=False)
R = TypeVar("R", bound=Ran)
SMALL = Limits(wall_s=30, memory_mb=128, output_kb=4, disk_mb=8, inodes=200, pids=20)


STUBBORN = """
import signal
for number in range(1, 32):
    try:
        signal.signal(number, signal.SIG_IGN)
    except OSError:
        pass
while True: pass
"""


@pytest.fixture
async def box() -> AsyncGenerator[Box]:
    async with opened(Spec(limits=SMALL)) as box:
        yield box


@asynccontextmanager
async def opened(spec: Spec) -> AsyncGenerator[Box]:
    need("native")
    box = await NATIVE.open(spec)
    try:
        yield box
    finally:
        await box.close()


def fixed(result: R) -> R:
    return result.model_copy(update={"wall_ms": 0.0, "cpu_ms": 0.0, "max_rss_kb": 0})


async def test_what_is_promised_holds_here():
    need("native")
    probe = await NATIVE.probe()
    broken = {name for name, held in probe.guarantees.items() if not held}
    assert broken <= {"memory_all", "cpu_all"}
    assert probe.level == (2 if broken else 3)


async def test_a_cell_gives_what_it_printed_and_the_value_of_its_last_expression(box: Box):
    result = await box.run_python("import sys\nprint('out')\nprint('err', file=sys.stderr)\n[1, 'a']")
    assert fixed(result) == CellResult(status="ok", stdout="out\n", stderr="err\n", value="[1, 'a']")
    assert result.wall_ms > 0
    assert result.cpu_ms > 0
    assert result.max_rss_kb > 1000


async def test_variables_persist_and_an_error_tells_where_and_what(box: Box):
    await box.run_python("def f(n):\n    return 1 / n")
    assert fixed(await box.run_python("x = 1\nf(0)")).error == snapshot(
        """\
line 2: f(0)
line 2, in f: return 1 / n
ZeroDivisionError: division by zero\
"""
    )
    assert (await box.run_python("x")).value == "1"


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("while True: pass", "timeout", "the code ran too long and was stopped; variables are lost"),
        (
            STUBBORN,
            "timeout",
            "the code ran too long and was stopped; variables are lost",
        ),
        ("import os\nos._exit(3)", "crashed", "the process ended: exit code 3; variables are lost"),
        ("import os\nos.kill(os.getpid(), 11)", "crashed", "the process ended: signal SIGSEGV; variables are lost"),
        (
            "while True: print('x' * 4000)",
            "output_limit",
            "there was too much output and the code was stopped; variables are lost",
        ),
        (
            "import os\nos.write(3, b'forged' * 99)\nwhile True: pass",
            "protocol_violation",
            "the code wrote to the sandbox's own channel and was stopped; variables are lost",
        ),
        ("bytearray(1 << 28)", "oom", "line 1: bytearray(1 << 28)\nMemoryError"),
        ("print('x' * 5000)\n1", "output_limit", ""),
    ],
)
async def test_a_cell_that_must_be_stopped_ends_with_its_status_and_the_files_stay(
    box: Box, code: str, status: str, error: str
):
    await box.write("kept.txt", b"kept")
    result = await box.run_python(code, timeout=0.2 if status == "timeout" else None)
    assert (result.status, result.error) == (status, error)
    assert len(result.stdout) < 5000
    assert (await box.run_python("open('kept.txt').read()")).value == "'kept'"


async def test_a_command_gets_stdin_and_gives_both_streams_and_its_exit_code(box: Box):
    result = await box.exec(("sh", "-c", 'cat; echo "$A" >&2; exit 3'), stdin=b"in", env={"A": "b"})
    assert fixed(result) == ExecResult(status="error", stdout="in", stderr="b\n", error="exit code 3", exit_code=3)
    assert fixed(await box.exec(("nothing-here",))).exit_code == 127
    assert fixed(await box.exec(("sh", "-c", "kill -9 $$"))).status == "crashed"


async def test_a_command_that_is_late_ends_with_all_it_started_and_variables_stay(box: Box):
    await box.run_python("import subprocess\nmine = subprocess.Popen(['sleep', '99'])")
    late = await box.exec(("sh", "-c", "sleep 99 & setsid sleep 99 & sleep 99"), timeout=0.2)
    assert late.status == "timeout"
    listed = await box.exec(("sh", "-c", "grep -l sleep /proc/[0-9]*/comm | wc -l"))
    assert listed.stdout == "1\n"
    assert (await box.run_python("mine.poll()")).value is None


async def test_a_cancelled_cell_ends_and_the_session_goes_on_with_its_files(box: Box):
    await box.write("kept.txt", b"kept")
    with anyio.move_on_after(0.05) as scope:
        await box.run_python("import time\nx = 1\nwhile True: time.sleep(0.01)")

    assert scope.cancelled_caught
    assert (await box.run_python("open('kept.txt').read()")).value == "'kept'"
    assert (await box.run_python("x")).status == "error"


async def test_pictures_come_out_as_bytes(box: Box):
    code = "class P:\n    def _repr_png_(self): return b'PNG'\ndisplay(P())\nP()"
    assert [(rich.mime, rich.data) for rich in (await box.run_python(code)).rich] == [("image/png", b"PNG")] * 2


async def test_files_go_in_and_out_and_never_outside(box: Box):
    await box.write("a/b.txt", b"one")
    await box.exec(("ln", "-s", "/etc/passwd", "link"))
    await box.exec(("mkfifo", "pipe"))
    assert await box.read("a/b.txt") == b"one"
    assert [(entry.name, entry.kind) for entry in await box.list()] == [
        ("a", "folder"),
        ("link", "link"),
        ("pipe", "other"),
    ]
    for path in ("link", "pipe", "../etc/passwd", "/etc/passwd", "missing"):
        with pytest.raises(ToolError):
            await box.read(path)

    assert await box.artefacts() == ["a/b.txt"]


async def test_snapshots_bring_files_back_and_reset_goes_to_the_beginning(tmp_path: Path):
    (tmp_path / "given.txt").write_text("given")
    async with opened(Spec(limits=SMALL, workspace=tmp_path)) as box:
        await box.run_python("x = 1\nopen('given.txt', 'a').write('+1')")
        first = await box.snapshot()
        assert (await box.run_python("open('given.txt', 'a').write('+2'); x")).value == "1"
        second = await box.snapshot()
        await box.exec(("rm", "given.txt"))
        await box.restore(second)
        assert await box.read("given.txt") == b"given+1+2"
        await box.restore(first)
        assert await box.read("given.txt") == b"given+1"
        assert (await box.run_python("x")).status == "error"
        await box.reset()
        assert await box.read("given.txt") == b"given"
        assert await box.artefacts() == []

    assert (tmp_path / "given.txt").read_text() == "given"


async def test_a_snapshot_of_a_file_that_is_being_written_is_refused(box: Box):
    await box.run_python("f = open('open.txt', 'w')")
    with pytest.raises(SandboxError, match="a file is still open for writing"):
        await box.snapshot()

    await box.run_python("f.close()")
    assert await box.snapshot() == 1


async def test_branches_have_the_files_and_the_variables_and_go_their_own_ways(box: Box):
    await box.run_python("x = [1]\nopen('log', 'a').write('once')")
    one, two = await box.branch(2)
    await one.run_python("x.append(2)\nopen('log', 'a').write('+one')")
    assert (await one.run_python("x, open('log').read()")).value == "([1, 2], 'once+one')"
    assert (await two.run_python("x, open('log').read()")).value == "([1], 'once')"
    await one.close()
    await two.close()


async def test_a_seed_makes_chance_repeat_and_without_one_it_does_not():
    drawn = []
    for seed in (7, 7, None, None):
        async with opened(Spec(limits=SMALL, seed=seed)) as box:
            drawn.append((await box.run_python("import random\nrandom.random()")).value)

    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3


async def test_a_module_that_is_not_there_cannot_be_preloaded():
    need("native")
    with pytest.raises(SandboxError, match="No module named 'nothing_here'"):
        await NATIVE.open(Spec(preload=("nothing_here",)))


async def test_preloaded_modules_are_there_and_others_of_the_host_are_not():
    async with opened(Spec(preload=("click",))) as box:
        assert (await box.run_python("import sys\n'click' in sys.modules")).value == "True"

    async with opened(Spec()) as box:
        assert (await box.run_python("import click")).error.endswith("No module named 'click'")


async def test_closing_ends_every_process(box: Box):
    seconds = str(10**8 + randbelow(10**8))  # by which it is known from what another run left
    await box.run_python(f"import subprocess\nsubprocess.Popen(['sleep', '{seconds}'], start_new_session=True)")
    with anyio.fail_after(30):
        while not _runs(seconds):  # its name is told a moment after it has begun
            await checkpoint()

    await box.close()
    assert not _runs(seconds)


async def test_a_sandbox_that_died_says_so_and_the_next_one_opens(box: Box):
    supervisor = box.line.pid  # ty: ignore[missing-attribute]
    os.kill(supervisor, 9)
    result = await box.run_python("1")
    assert (result.status, result.error) == ("lost", "the sandbox ended; its files and variables are lost")
    with pytest.raises(SandboxError, match="its files and variables are lost"):
        await box.read("x")


async def test_more_isolation_than_there_is_is_refused_with_what_would_help():
    need("native")
    with pytest.raises(SandboxError) as refused:
        await NATIVE.open(Spec(min_isolation=4))

    assert "level 4 is asked for" in str(refused.value)


def _runs(text: str) -> bool:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text in process.read_bytes().decode(errors="replace").split("\0"):
                return True
        except OSError:
            continue

    return False


async def test_only_allowed_hosts_are_reached_and_every_decision_is_told():
    server = HTTPServer(("127.0.0.1", 0), Site)
    Thread(target=server.serve_forever, args=(0.01,)).start()
    here = f"127.0.0.1:{server.server_port}"
    try:
        async with opened(Spec(allow_hosts=(here,))) as box:
            result = await box.exec(("python3", "-c", FETCH, f"http://{here}/", "http://169.254.169.254/"))
            assert result.stdout == "from the site\nHTTP Error 403: \n"
            assert [(each.host, each.allowed) for each in result.connections] == [
                ("127.0.0.1", True),
                ("169.254.169.254", False),
            ]
            directly = await box.run_python("import socket; socket.create_connection(('192.0.2.1', 80), 1)")
            assert "unreachable" in directly.error
    finally:
        server.shutdown()
        server.server_close()


FETCH = """
import sys, urllib.request
for url in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(url).read().decode())
    except OSError as error:
        print(error)
"""


class Site(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from the site")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class says so
        """Says nothing."""


async def test_what_was_made_ahead_is_taken_and_replaced_and_the_dead_are_never_handed_out():
    need("native")
    spec = Spec(limits=SMALL, seed=7)
    await NATIVE.prewarm(spec, 2)
    dead, ready = NATIVE.warm(spec)
    os.kill(dead.pid, 9)
    with anyio.fail_after(30):
        while dead.alive:
            await checkpoint()

    async with opened(spec) as box:
        assert box.line is ready
        assert (await box.run_python("6 * 7")).value == "42"

    assert len(NATIVE.warm(spec)) == 2
    await NATIVE.prewarm(spec, 0)
    assert not NATIVE.warm(spec)


def descriptors() -> set[Path]:
    return set(Path("/proc/self/fd").iterdir())


async def test_who_has_gone_before_a_sandbox_was_theirs_ends_nobody_else_s():
    async with opened(Spec(limits=SMALL)) as box:
        server = running(namespaces=True, preload=())
        assert server is not None
        ours, theirs = socket.socketpair()
        ours.close()
        with theirs:
            await server.send({"op": "open"}, theirs.fileno())

        async with opened(Spec(limits=SMALL)):  # opened after that
            assert (await box.run_python("6 * 7")).value == "42"


async def test_where_one_cannot_be_made_ahead_nothing_is_left_of_the_others():
    spec = Spec(limits=SMALL.model_copy(update={"inodes": 1}))
    async with opened(Spec(limits=SMALL)):
        before = descriptors()
        with pytest.raises(SandboxError, match="No space left on device") as held:  # and with it what was made
            await NATIVE.prewarm(spec, 3)

        assert held.value.fix == FIX
        assert descriptors() <= before
        assert not NATIVE.warm(spec)
