"""Attacks on the operating system around the sandbox: its network, files, processes and kernel."""

import ast
import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio

from journeyman.sandbox.attacks.attack import Arena, Box, Escaped, attack, unless
from journeyman.sandbox.attacks.witness import fields, listening, reached_daemon
from journeyman.sandbox.sandbox import CellResult


@attack("system", "connect to the host's loopback")
async def network(arena: Arena) -> str:
    own = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    own.bind(("127.0.0.1", 0))
    with listening(own) as reached:
        async with arena.open() as box:
            result = await box.run(_CONNECT.format(where=own.getsockname()))
            return unless(reached(), "a listener of the host was reached", box.note(result))


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
        return unless(reached_daemon(arena.token), "the daemon obeyed", box.note(result))


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
            return unless(found, f"a file appeared in {', '.join(found)}", box.note(result))
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

        return unless(answered, f"the kernel answered {answered}", box.note(result))


@attack("system", "see and end a process of the host")
async def host_processes(arena: Arena) -> str:
    sleeper = f"import time; time.sleep(60) # {arena.secret}"
    with subprocess.Popen([sys.executable, "-c", sleeper]) as victim:
        try:
            async with arena.open() as box:
                result = await box.run(_KILL.format(pid=victim.pid))
                await anyio.sleep(0.05)
                arena.refuse_secret(result.stdout, result.value or "")
                return unless(victim.poll() is not None, "a process of the host was ended", box.note(result))
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

        return unless(changed or _logged(arena.token), "the kernel obeyed", box.note(result))


async def _dial(arena: Arena, listener: socket.socket, path: str) -> str:
    with listening(listener) as reached:
        async with arena.open() as box:
            result = await box.run(f"attempt(socket.socket(socket.AF_UNIX).connect, {path!r})")
            return unless(reached(), "a listener of the host was reached", box.note(result))


def _value(result: CellResult, otherwise: Any) -> Any:
    try:
        return ast.literal_eval(result.value or "")
    except (ValueError, SyntaxError):
        return otherwise


def _statuses(box: Box, result: CellResult) -> list[dict[str, str]]:
    """What the host's kernel says of the processes inside; of one that it cannot see, what was said inside."""
    texts = [Path(f"/proc/{pid}/status").read_text("utf-8") for pid in box.arena.processes()]
    return [fields(text) for text in texts or [str(_value(result, ""))] if text]


def _short(box: Box, result: CellResult, *fields: str) -> str:
    told = [f"{field} {status.get(field, '?').split()[0]}" for status in _statuses(box, result) for field in fields]
    return ", ".join(told) or box.note(result)


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
