"""What a sandbox promises, each promise with code that finds out whether it holds.

The code is ours and the sandbox is opened for it alone, with `TIGHT` limits, so that reaching them takes milliseconds.
A promise holds when the code's value is True, or when the sandbox itself says that it stopped it.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from journeyman.sandbox.sandbox import Limits, Sandbox

TIGHT = Limits(wall_s=5, cpus=0.5, memory_mb=64, pids=8, files=64, file_mb=2, disk_mb=4, inodes=64)
_CALLS = """
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
column = ("x86_64", "aarch64").index(platform.machine())
def refused(numbers, *arguments):
    return libc.syscall(numbers[column], *arguments) < 0 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS)
"""
_FAILS = """
import errno, os
def fails(work, *numbers):
    try:
        work()
    except OSError as error:
        return not numbers or error.errno in numbers
    return False
"""
PROMISES = {
    "no_host_files": _FAILS
    + """
def write(folder):
    return os.close(os.open(folder + "/journeyman-was-here", os.O_CREAT | os.O_WRONLY))
hidden = ({secret!r}, "/etc/shadow", "/etc/machine-id")
def own():
    return "HOME=" + {home!r} not in open("/proc/1/environ").read().split(chr(0))
(fails(own) or own()) and all(fails(lambda: open(path).read(1)) for path in hidden) and \\
    all(fails(lambda: write(path)) for path in ("/", "/usr", "/usr/bin", "/etc", "/dev", "/var/tmp", {folder!r}))
""",
    "no_network": _FAILS
    + """
import socket
def reach(address):
    socket.create_connection(address, 0.2).close()
closed = (errno.EPERM, errno.EACCES, errno.ENETUNREACH, errno.EHOSTUNREACH)
all(fails(lambda: reach(address), *closed) for address in (("192.0.2.1", 80), ("1.1.1.1", 53)))
""",
    "no_other_processes": _FAILS
    + """
all(fails(lambda: os.kill(pid, 0)) for pid in {*range(2, 300), 1000, 4000, os.getppid()} - {1, os.getpid()})
""",
    "no_privileges": _CALLS
    + """
header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
libc.capget(header, sets)
os.getuid() > 0 and not any(sets) and libc.prctl(39, 0, 0, 0, 0) == 1
""",
    "no_dangerous_calls": _CALLS
    + """
tried = ((101, 117), (165, 40), (272, 97), (425, 425), (321, 280), (323, 282), (248, 217), (298, 241), (155, 41))
all(refused(numbers, 0, 0, 0, 0, 0) for numbers in tried)
""",
    "no_signals_out": _FAILS + "fails(lambda: os.kill(os.getppid(), 0))",
    "memory_each": "bool(bytearray(128 << 20))",
    "memory_all": """
import os, time
def eat():
    food = b"x" * (44 << 20)
    time.sleep(0.4)
def together():
    pids = []
    for _ in range(3):
        pids.append(os.fork())
        if not pids[-1]:
            eat()
            os._exit(0)
    return any([os.WIFSIGNALED(os.waitpid(pid, 0)[1]) for pid in pids])
try:
    held = together()
except PermissionError:
    held = True  # there can be no second process
held
""",
    "cpu_all": """
import time
started, used = time.monotonic(), time.process_time()
while time.process_time() - used < 0.12: pass
time.monotonic() - started > 0.15
""",
    "processes": _FAILS
    + """
import signal
pids = []
def breed():
    for _ in range(20):
        pids.append(os.fork())
        if not pids[-1]:
            signal.pause()
held = fails(breed, errno.EAGAIN, errno.EPERM)
for pid in pids:
    os.kill(pid, 9)
    os.waitpid(pid, 0)
held
""",
    "disk": _FAILS
    + """
def fill():
    for number in range(8):
        with open(f"disk{number}", "wb") as file:
            file.write(bytes(1 << 20))
held = fails(fill)
for number in range(8):
    fails(lambda: os.unlink(f"disk{number}"))
held
""",
    "file_size": _FAILS + 'fails(lambda: os.truncate(os.open("sparse", os.O_CREAT | os.O_WRONLY), 1 << 40))',
    "inodes": _FAILS
    + """
held = fails(lambda: [os.mkdir(f"folder{number}") for number in range(100)])
for number in range(100):
    fails(lambda: os.rmdir(f"folder{number}"))
held
""",
    "time": "while True: pass",
}
_STOPPED = {"memory_each": "oom", "memory_all": "oom", "time": "timeout"}


async def prove(sandbox: Sandbox, promises: Sequence[str] = tuple(PROMISES)) -> dict[str, bool]:
    """Try each; False where it does not hold, or where it could not be found out."""
    with TemporaryDirectory(prefix="journeyman-") as folder:
        names = {
            "{secret!r}": repr(_bait(Path(folder))),
            "{folder!r}": repr(folder),
            "{home!r}": repr(os.environ.get("HOME", "/")),
        }
        return {name: await _holds(sandbox, name, names) for name in promises}


def _bait(folder: Path) -> str:
    """A file that everybody may read, in a folder where everybody may write."""
    folder.chmod(0o777)
    secret = folder / "secret"
    secret.write_text("secret")
    return str(secret)


async def _holds(sandbox: Sandbox, name: str, names: dict[str, str]) -> bool:
    code = PROMISES[name]
    for placeholder, value in names.items():
        code = code.replace(placeholder, value)

    result = await sandbox.run_python(code, timeout=0.05 if name == "time" else None)
    return result.value == "True" or result.status == _STOPPED.get(name, "")
