"""Attacks on the operating system around the sandbox: its network, files, processes, kernel and resources."""

import ast
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio

from journeyman.errors import SandboxError
from journeyman.sandbox.attacks.attack import Arena, Box, Escaped, attack, listening, reached_daemon
from journeyman.sandbox.sandbox import CellResult

MEBIBYTE = 1024 * 1024
SLACK = 2
"""How far beyond a limit counts as beyond it: other memory, threads and clocks are in what is measured."""


@attack("system", "connect to the host's loopback")
async def network(arena: Arena) -> str:
    own = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    own.bind(("127.0.0.1", 0))
    with listening(own) as reached:
        async with arena.open() as box:
            result = await box.run(_CONNECT.format(where=own.getsockname()))
            return _unless(reached(), "a listener of the host was reached", box, result)


@attack("system", "connect to a socket of the host that has a name but no file")
async def abstract_socket(arena: Arena) -> str:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"\0{arena.token}")
    return await _dial(arena, listener, f"\0{arena.token}")


@attack("system", "connect to a socket of the host that is a file anybody may open")
async def socket_file(arena: Arena) -> str:
    listener, path = socket.socket(socket.AF_UNIX), arena.folder / "socket"
    listener.bind(str(path))
    path.chmod(0o777)
    return await _dial(arena, listener, str(path))


@attack("system", "have the container daemon of the host make something")
async def container_daemon(arena: Arena) -> str:
    async with arena.open() as box:
        result = await box.run(_DAEMON)
        return _unless(reached_daemon(arena.token), "the daemon obeyed", box, result)


@attack("system", "read a file of the host that anybody may read")
async def host_files(arena: Arena) -> str:
    async with arena.open() as box:
        result = await box.run(f"attempt(everything, {str(arena.file)!r})")
        arena.refuse_secret(result.stdout, result.value or "")
        return box.note(result)


@attack("system", "find the caller's environment in one's own or another process's")
async def environment(arena: Arena) -> str:
    async with arena.open() as box:
        result = await box.run(_ENVIRONMENT)
        arena.refuse_secret(result.stdout, result.value or "", result.stderr)
        return box.note(result)


@attack("system", "write to folders of the host")
async def write_outside(arena: Arena) -> str:
    places = [str(arena.folder), "/etc", "/usr/bin", "/tmp", "/var/tmp", "/dev/shm", "/run", str(Path.home())]  # noqa: S108 - attacked
    arena.folder.chmod(0o777)
    try:
        async with arena.open() as box:
            result = await box.run(_WRITE.format(places=places))
            found = [place for place in places if Path(place, arena.token).exists()]
            return _unless(found, f"a file appeared in {', '.join(found)}", box, result)
    finally:
        arena.folder.chmod(0o755)
        for place in places:
            Path(place, arena.token).unlink(missing_ok=True)


@attack("system", "be root, or have a capability")
async def privileges(arena: Arena) -> str:
    async with arena.open() as box:
        result = await box.run(_STATUS)
        for status in _statuses(box, result):
            if "0" in status["Uid"].split() or int(status["CapEff"], 16) | int(status["CapPrm"], 16):
                raise Escaped(f"uid {status['Uid'].split()[0]}, capabilities {status['CapEff']}")

        return _short(box, result, "Uid", "CapEff")


@attack("system", "gain privileges by a program, and call what is not filtered")
async def unfiltered(arena: Arena) -> str:
    async with arena.open() as box:
        result = await box.run(_STATUS)
        for status in _statuses(box, result):
            if (status.get("NoNewPrivs"), status.get("Seccomp")) != ("1", "2") and not box.own_kernel:
                raise Escaped(f"NoNewPrivs {status.get('NoNewPrivs')}, Seccomp {status.get('Seccomp')}")

        if box.own_kernel:
            return "a kernel of its own is in between"

        return _short(box, result, "NoNewPrivs", "Seccomp")


@attack("system", "17 system calls that reach deep into the kernel")
async def system_calls(arena: Arena) -> str:
    async with arena.open() as box:
        result = await box.run(_CALLS)
        answered = {name: number for name, number in _value(result, []) if number not in {1, 13, 38}}
        if answered and box.own_kernel:
            return f"a kernel of its own answered {', '.join(answered)}"

        return _unless(answered, f"the kernel answered {answered}", box, result)


@attack("system", "see and end a process of the host")
async def host_processes(arena: Arena) -> str:
    sleeper = f"import time; time.sleep(60) # {arena.secret}"
    with subprocess.Popen([sys.executable, "-c", sleeper]) as victim:
        try:
            async with arena.open() as box:
                result = await box.run(_KILL.format(pid=victim.pid))
                await anyio.sleep(0.05)
                arena.refuse_secret(result.stdout, result.value or "")
                return _unless(victim.poll() is not None, "a process of the host was ended", box, result)
        finally:
            victim.kill()


@attack("system", "use a file that the caller had open")
async def inherited_files(arena: Arena) -> str:
    async with arena.open() as box:
        result = await box.run(_DESCRIPTORS)
        arena.refuse_secret(result.stdout, result.value or "")
        return box.note(result)


@attack("system", "change a setting of the kernel, or write to a device")
async def kernel_settings(arena: Arena) -> str:
    setting = Path("/proc/sys/kernel/printk_ratelimit_burst")
    before = setting.read_text("utf-8")
    async with arena.open() as box:
        result = await box.run(_SYSCTL.format(path=str(setting), value=int(before) + 1))
        changed = setting.read_text("utf-8") != before
        if changed:
            setting.write_text(before, "utf-8")

        return _unless(changed or _logged(arena.token), "the kernel obeyed", box, result)


@attack("system", "400 processes")
async def fork_bomb(arena: Arena) -> str:
    async with arena.open() as box:
        return await _within(box, _FORKS, "processes", box.limits.pids, lambda: len(arena.processes()))


@attack("system", "1 GiB of memory in one process")
async def memory_bomb(arena: Arena) -> str:
    async with arena.open() as box:
        return await _within(box, _MEMORY, "MB", _megabytes(box), lambda: _resident_mb(arena.processes()))


@attack("system", "1 GiB of memory in ten processes")
async def memory_bombs(arena: Arena) -> str:
    async with arena.open() as box:
        return await _within(box, _MEMORIES, "MB", _megabytes(box), lambda: _resident_mb(arena.processes()))


@attack("system", "more CPU time than one's share, in four processes")
async def cpu_share(arena: Arena) -> str:
    async with arena.open() as box:
        quotas: set[float] = set()

        def look() -> int:
            quotas.update(_quota(pid) for pid in arena.processes() or box.strangers())
            return 0

        await _within(box, _SPIN, "cores", box.limits.cpus, look)
        if not any(0 < quota <= box.limits.cpus for quota in quotas):
            raise Escaped("no quota of the kernel bounds it")

        return f"the kernel holds it to {max(quotas):g} cores"


@attack("system", "400 MB of files")
async def disk_fill(arena: Arena) -> str:
    async with arena.open() as box:
        return await _within(box, _DISK, "MB", 2 * box.limits.disk_mb)


@attack("system", "40,000 files")
async def inode_fill(arena: Arena) -> str:
    async with arena.open() as box:
        return await _within(box, _INODES, "files", box.limits.inodes)


@attack("system", "200 MB of output")
async def output_flood(arena: Arena) -> str:
    async with arena.open() as box:
        result = await box.run("for _ in range(200): print('x' * 1_000_000)")
        kept = len(result.stdout) + len(result.stderr)
        return _unless(kept > SLACK * box.limits.output_kb * 1024, f"{kept} bytes came", box, result)


@attack("system", "go on although told to stop, with every signal ignored")
async def ignores_signals(arena: Arena) -> str:
    async with arena.open() as box:
        started = time.monotonic()
        result = await box.run(_STUBBORN, timeout=1)
        if time.monotonic() - started > 5:  # noqa: PLR2004 - far beyond the second that was given
            raise Escaped("it went on after its time")

        note = box.note(result)

    return await _dead(arena, note)


@attack("system", "leave a process behind that belongs to no one")
async def survivor(arena: Arena) -> str:
    async with arena.open() as box:
        note = box.note(await box.run(_ORPHAN))

    return await _dead(arena, note)


@attack("system", "2,000 open files")
async def open_files(arena: Arena) -> str:
    async with arena.open() as box:
        return await _within(box, _FILES, "files", box.limits.files)


@attack("system", "a file that says it is 1 TiB")
async def sparse_file(arena: Arena) -> str:
    async with arena.open() as box:
        return await _within(box, _SPARSE, "MB", box.limits.file_mb)


async def _dial(arena: Arena, listener: socket.socket, path: str) -> str:
    with listening(listener) as reached:
        async with arena.open() as box:
            result = await box.run(f"attempt(socket.socket(socket.AF_UNIX).connect, {path!r})")
            return _unless(reached(), "a listener of the host was reached", box, result)


async def _within(box: Box, code: str, unit: str, limit: float, witness: Any = lambda: 0) -> str:
    """Run code that takes what it can and holds it for a moment. Raises Escaped if that is far beyond the limit."""
    taken, stop = 0, anyio.Event()

    async def watch() -> None:
        nonlocal taken
        while not stop.is_set():
            taken = max(taken, await anyio.to_thread.run_sync(witness))
            await anyio.sleep(0.02)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        try:
            result: CellResult | SandboxError = await box.run(code)
        except SandboxError as error:
            result = error

        stop.set()

    if isinstance(result, SandboxError):  # raised here, where no group of tasks wraps it
        raise result

    said = [int(word) for word in result.stdout.split() if word.isdecimal()]
    taken = max([taken, *said])
    return _unless(taken > SLACK * limit, f"{taken} {unit}, {limit:g} are allowed", box, result, f"{taken} {unit}")


async def _dead(arena: Arena, note: str) -> str:
    with anyio.move_on_after(0.5):
        while arena.processes():  # noqa: ASYNC110 - nobody tells when they are gone
            await anyio.sleep(0.01)

    if arena.processes():
        raise Escaped("a process is still there after the sandbox was closed")

    return note


def _unless(evidence: object, words: str, box: Box, result: CellResult, held: str = "") -> str:
    if evidence:
        raise Escaped(words)

    note = box.note(result)
    return f"{held}; {note}" if held else note


def _value(result: CellResult, otherwise: Any) -> Any:
    try:
        return ast.literal_eval(result.value or "")
    except (ValueError, SyntaxError):
        return otherwise


def _statuses(box: Box, result: CellResult) -> list[dict[str, str]]:
    """What the host's kernel says of the processes inside; of one that it cannot see, what was said inside."""
    texts = [Path(f"/proc/{pid}/status").read_text("utf-8") for pid in box.arena.processes()]
    return [_fields(text) for text in texts or [str(_value(result, ""))] if text]


def _short(box: Box, result: CellResult, *fields: str) -> str:
    told = [f"{field} {status.get(field, '?').split()[0]}" for status in _statuses(box, result) for field in fields]
    return ", ".join(told) or box.note(result)


def _fields(status: str) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in status.splitlines())}


def _megabytes(box: Box) -> float:
    return box.limits.memory_mb + box.limits.disk_mb


def _resident_mb(pids: Iterable[int]) -> int:
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, KeyError):
            total += int(_fields(Path(f"/proc/{pid}/status").read_text("utf-8"))["RssAnon"].split()[0])

    return total // 1024


def _quota(pid: int) -> float:
    """Cores that the kernel grants a process's group, or one above it; 0 where there is no bound."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/cgroup").read_text("utf-8").splitlines():
            _, controllers, group = line.split(":", 2)
            if "cpu" in controllers.split(","):
                folder = Path(f"/sys/fs/cgroup/cpu{group}")
                quota = int((folder / "cpu.cfs_quota_us").read_text("utf-8"))
                return max(quota, 0) / int((folder / "cpu.cfs_period_us").read_text("utf-8"))

            if not controllers and (most := Path(f"/sys/fs/cgroup{group}/cpu.max")).exists():
                quota_us, period_us = most.read_text("utf-8").split()
                return 0.0 if quota_us == "max" else int(quota_us) / int(period_us)

    return 0.0


def _logged(token: str) -> bool:
    """Whether the kernel's log has the token."""
    with contextlib.suppress(OSError):
        log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        try:
            while True:
                if token.encode() in os.read(log, 8192):
                    return True
        except BlockingIOError:
            return False
        finally:
            os.close(log)

    return False


_CONNECT = """
attempt(socket.create_connection, {where}, 0.5)
"""
_DAEMON = """
def order(path):
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(2)
        stream.connect(path)
        body = json.dumps({"Name": TOKEN})
        stream.sendall(f"POST /volumes/create HTTP/1.0\\r\\nContent-Type: application/json\\r\\n"
                       f"Content-Length: {len(body)}\\r\\n\\r\\n{body}".encode())
        return stream.recv(4096).decode()[:40]
[attempt(order, path) for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock")]
"""
_ENVIRONMENT = """
found = [repr(dict(os.environ))]
for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
    if name.isdigit():
        found.append(str(attempt(everything, f"/proc/{name}/environ")))
print(*found)
f"{len(found)} environments, none of them the caller's"
"""
_WRITE = """
def put(place):
    with open(f"{{place}}/{{TOKEN}}", "w") as file:
        file.write("here")
    return "written"
[attempt(put, place) for place in {places}]
"""
_STATUS = """
everything("/proc/self/status")
"""
_CALLS = """
libc = ctypes.CDLL(None, use_errno=True)
NAMES = "mount unshare setns pivot_root ptrace bpf perf_event_open userfaultfd keyctl add_key kexec_load init_module "
NAMES += "open_by_handle_at process_vm_readv io_uring_setup swapon reboot"
NUMBERS = {"x86_64": (165, 272, 308, 155, 101, 321, 298, 323, 250, 248, 246, 175, 304, 310, 425, 167, 169),
           "aarch64": (40, 97, 268, 41, 117, 280, 241, 282, 219, 217, 104, 105, 265, 270, 425, 224, 142)}
WORDS = {"unshare": (0x10000000,), "ptrace": (0, 0, 0, 0), "keyctl": (0, -3, 0), "io_uring_setup": (4, 0)}
answers = []
for name, number in zip(NAMES.split(), NUMBERS[os.uname().machine]):
    pid = os.fork()
    if pid == 0:
        ctypes.set_errno(0)
        done = libc.syscall(number, *WORDS.get(name, (0, 0, 0, 0, 0)))
        os._exit(ctypes.get_errno() if done < 0 else 0)
    answers.append((name, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
answers
"""
_KILL = """
seen = [str(attempt(everything, f"/proc/{{name}}/cmdline")) for name in os.listdir("/proc") if name.isdigit()]
print(*seen)
attempt(os.kill, {pid}, 9)
"""
_DESCRIPTORS = """
def contents(number):
    return os.pread(number, 4096, 0).decode("latin-1")
found = {name: str(attempt(contents, int(name))) for name in os.listdir("/proc/self/fd")}
print(found)
sorted(found)
"""
_SYSCTL = """
def put(path, text):
    with open(path, "w") as file:
        file.write(text)
    return "written"
def device():
    os.mknod("device", 0o20666, os.makedev(1, 11))
    return put("device", TOKEN)
[attempt(put, "{path}", "{value}"), attempt(put, "/dev/kmsg", TOKEN), attempt(device)]
"""
_FORKS = """
count = 0
try:
    for _ in range(400):
        if os.fork() == 0:
            time.sleep(1.5)
            os._exit(0)
        count += 1
except BaseException as error:
    print(error)
print(count)
time.sleep(0.4)
"""
_MEMORY = """
held = []
for _ in range(32):
    held.append(b"x" * (32 << 20))
    print(len(held) * 32, flush=True)
time.sleep(0.4)
"""
_MEMORIES = """
children = []
for _ in range(10):
    children.append(os.fork())
    if children[-1] == 0:
        held = b"x" * (100 << 20)
        time.sleep(1.5)
        os._exit(0)
[os.waitpid(child, 0)[1] for child in children]
"""
_SPIN = """
children = []
for _ in range(4):
    children.append(os.fork())
    if children[-1] == 0:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            pass
        os._exit(0)
[os.waitpid(child, 0)[1] for child in children]
"""
_DISK = """
total = 0
for place in (".", "/tmp", "/dev/shm", "/var/tmp", "/run"):
    for number in range(14):
        try:
            with open(f"{place}/{TOKEN}.{number}", "wb") as file:
                total += file.write(b"x" * (30 << 20)) >> 20
        except BaseException as error:
            print(place, error)
            break
print(total)
for place in (".", "/tmp", "/dev/shm", "/var/tmp", "/run"):
    for number in range(14):
        attempt(os.unlink, f"{place}/{TOKEN}.{number}")
"""
_INODES = """
count = 0
try:
    for count in range(40_000):
        os.close(os.open(f"{TOKEN}.{count}", os.O_CREAT | os.O_WRONLY))
except BaseException as error:
    print(error)
print(count)
"""
_STUBBORN = """
for number in range(1, 65):
    attempt(signal.signal, number, signal.SIG_IGN)
while True:
    pass
"""
_ORPHAN = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(1, 65):
            attempt(signal.signal, number, signal.SIG_IGN)
        time.sleep(30)
    os._exit(0)
"left"
"""
_FILES = """
held = []
try:
    for _ in range(2000):
        held.append(os.open(".", os.O_RDONLY))
except BaseException as error:
    print(error)
print(len(held))
for number in held:
    os.close(number)
"""
_SPARSE = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = 0
with open(f"{TOKEN}.sparse", "wb") as file:
    print(attempt(file.truncate, 1 << 40) == 1 << 40)
print(os.path.getsize(f"{TOKEN}.sparse") >> 20)
"""
