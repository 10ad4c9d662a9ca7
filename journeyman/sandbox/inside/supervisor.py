"""PID 1 of a sandbox: trusted, speaks with the host, and owns the truth about everything that runs inside.

It forks the worker (untrusted Python, cell after cell) and commands, holds them to their limits, and tells how they
ended from what the kernel says. What they write is payload, never believed. The host asks one thing at a time:

    begin     seed, rlimits, memory, preload, paths: what workers and commands get
    cell      run the body as Python                exec      run argv with the body as stdin
    read, write, list, changed, pack, unpack        files of the workspace, confined to it
    snapshot, restore                               its states
    fresh     end all processes

It runs in native sandboxes (forked by `zygote`) and as a container's only program:
`python -S -m journeyman.sandbox.inside.supervisor FOLDER`. Only the standard library.
"""

import fcntl
import importlib
import json
import os
import socket
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn, Protocol

from journeyman.errors import ToolError
from journeyman.sandbox.inside import kernel, proc, worker
from journeyman.sandbox.inside.children import Children
from journeyman.sandbox.inside.copies import Copies, fill, pack
from journeyman.sandbox.inside.door import DOOR, hand_over
from journeyman.sandbox.inside.frames import Frame, Malformed, Reader, joined, split
from journeyman.sandbox.inside.frames import pack as frame
from journeyman.sandbox.inside.job import End, Job
from journeyman.sandbox.paths import Root

REQUEST_MAX = 512 * 1024 * 1024
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "MPLBACKEND": "agg"}
START_S = 20.0
LOST = "; variables are lost"
_LEAST, _MOST = 1 << 14, 1 << 20
"""Bytes of one read: as in the host's `Wire`."""
BRIEF_S = 0.0005
"""In less CPU time than this no cell takes memory worth a look."""
_STATUSES = frozenset({"ok", "error", "oom"})
_STOPPED = {
    "late": ("timeout", "the code ran too long and was stopped"),
    "flood": ("output_limit", "there was too much output and the code was stopped"),
    "malformed": ("protocol_violation", "the code wrote to the sandbox's own channel and was stopped"),
    "answered": ("protocol_violation", "the code wrote to the sandbox's own channel and was stopped"),
}
Header = dict[str, Any]


class States(Protocol):
    """The workspace's states; see `Copies`."""

    @property
    def home(self) -> str: ...

    def snapshot(self) -> int: ...

    def restore(self, number: int) -> None: ...

    def tidy(self) -> None:
        """Throw away what `restore` left, while nobody waits."""
        ...

    def begin(self) -> None: ...

    def changed(self) -> list[str]: ...


class Supervisor:
    """Serves one sandbox until the host closes the stream; `confine` and `alone` as in `Children`."""

    def __init__(
        self, source: int, sink: int, files: States, *, confine: Callable[[], None] = lambda: None, alone: bool = True
    ) -> None:
        self._source = source
        self._sink = sink
        self._files = files
        self._root = Root(files.home)
        self._children = Children(files.home, source, confine, alone=alone)
        self._moved = False

    def serve(self) -> None:
        reader = Reader(REQUEST_MAX)
        room = _LEAST
        while data := os.read(self._source, room):
            room = _MOST if len(data) == room else _LEAST
            request = reader.feed(data)
            while request is not None:
                self._reply(self._answer(request))
                self._files.tidy()
                self._children.reap()
                with suppress(OSError):
                    self._children.hire()  # before it is asked for

                request = reader.feed(b"")

        self._children.fire()

    def _answer(self, request: Frame) -> bytes:
        header, body = request
        try:
            return getattr(self, f"_do_{header['op']}")(header, body)
        except ToolError as error:
            return frame({"refused": str(error)})
        except OSError as error:
            return frame({"failed": f"{error.strerror or error}"})

    def _reply(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._sink, left) :]

    def begin(self, settings: Header) -> None:
        """Take what workers and commands get, and have a worker that has run: the first time takes longest."""
        self._children.settings = settings
        self._do_cell({"timeout": START_S, "room": 0}, b"")
        self._reply(frame({"ready": True}))

    def _do_begin(self, header: Header, _: bytes) -> bytes:
        sys.path.extend(path for path in header.get("paths", ()) if path not in sys.path)
        for name in header.get("preload", ()):
            try:
                importlib.import_module(name)
            except ImportError as error:
                raise OSError(f"cannot preload {name}: {error}") from error

        self._children.settings = header
        return frame({})

    def _do_cell(self, header: Header, code: bytes) -> bytes:
        job = self._children.hire()
        request = frame({"room": header["room"], "moved": self._moved}, code)
        job.begin(memoryview(request), header["room"])
        self._moved = False
        before = proc.cpu_s(job.pid)
        end: End = "malformed" if _stale(job) else self._children.run(job, header["timeout"])
        status, pieces = _claim(job) if end == "answered" else ("", [])
        if not status:
            self._children.fire()
            status, error, told = self._verdict(job, end)
            return _told(job, {"status": status, **told}, [("error", (error + LOST).encode())])

        if job.written > job.room:
            status = "output_limit"

        cpu_s = proc.cpu_s(job.pid) - before
        job.peak_kb = proc.peak_kb(job.pid) if cpu_s > BRIEF_S or not job.peak_kb else job.peak_kb
        return _told(job, {"status": status, "cpu_ms": cpu_s * 1e3, "rss_kb": job.peak_kb}, pieces)

    def _do_exec(self, header: Header, stdin: bytes) -> bytes:
        job = self._children.spawn(header["argv"], header["env"], stdin, header["room"])
        end = self._children.run(job, header["timeout"])
        if end != "ended":
            self._children.end_strays(job.pid)

        status, error, told = self._verdict(job, end)
        if end == "ended" and told["exit_code"] >= 0:
            status = "error" if told["exit_code"] else "ok"
            status = "output_limit" if job.written > job.room else status
            error = f"exit code {told['exit_code']}" if told["exit_code"] else ""

        told["exit_code"] = told["exit_code"] if end == "ended" else None
        job.close()
        return _told(job, {"status": status, **told}, [("error", error.encode())])

    def _do_read(self, header: Header, _: bytes) -> bytes:
        return frame({}, self._root.read(header["path"], limit=header["limit"]).data)

    def _do_write(self, header: Header, data: bytes) -> bytes:
        self._root.write(header["path"], data)
        return frame({})

    def _do_list(self, header: Header, _: bytes) -> bytes:
        entries, _more = self._root.list(header["path"])
        return frame({}, json.dumps([(entry.name, entry.kind, entry.size, entry.stamp) for entry in entries]).encode())

    def _do_changed(self, _: Header, __: bytes) -> bytes:
        return frame({}, json.dumps(self._files.changed()).encode())

    def _do_pack(self, header: Header, _: bytes) -> bytes:
        return frame({}, pack(self._files.home, most=header["limit"]))

    def _do_unpack(self, _: Header, archive: bytes) -> bytes:
        fill(self._files.home, archive)
        self._files.begin()
        self._moved = True
        return frame({})

    def _do_snapshot(self, _: Header, __: bytes) -> bytes:
        number = self._files.snapshot()
        self._moved = True
        return frame({"id": number})

    def _do_restore(self, header: Header, _: bytes) -> bytes:
        self._children.fire()
        self._files.restore(header["id"])
        return frame({})

    def _do_fresh(self, _: Header, __: bytes) -> bytes:
        self._children.fire()
        return frame({})

    def _verdict(self, job: Job, end: End) -> tuple[str, str, Header]:
        """Status, reason, and what the kernel told of a process that ended or was ended."""
        code, usage = self._children.how(job.pid)
        status, why = _STOPPED.get(end, ("crashed", f"the process ended: {proc.ending(code)}"))
        cpu_s = usage.ru_utime + usage.ru_stime if usage else 0.0
        return status, why, {"exit_code": code, "cpu_ms": cpu_s * 1e3, "rss_kb": usage.ru_maxrss if usage else 0}


def _stale(job: Job) -> bool:
    """Whether the worker said something that nobody asked for."""
    if job.reader or job.channel is None:
        return True

    waiting = bytearray(4)
    fcntl.ioctl(job.channel, termios.FIONREAD, waiting)
    return any(waiting)


def _claim(job: Job) -> tuple[str, list[tuple[str, bytes]]]:
    """What the worker says of its cell; no status where it makes no sense."""
    header, body = job.answer or ({}, b"")
    try:
        pieces = split(header, body, worker.KINDS)
    except Malformed:
        return "", []

    status = header.get("status")
    return (status if isinstance(status, str) and status in _STATUSES else ""), pieces


def _told(job: Job, header: Header, pieces: list[tuple[str, bytes]]) -> bytes:
    header["cut"] = job.written > job.room
    return joined(header, [("stdout", job.text(job.out)), ("stderr", job.text(job.err)), *pieces])


def main() -> NoReturn:
    """A container's only program: its workspace, then the folder of the door to the network if it has one.

    stdin and stdout are the host's.
    """
    home = sys.argv[1]
    os.environ.clear()
    os.environ.update(ENVIRONMENT, HOME=home)
    for folder in sys.argv[2:]:
        with socket.socket(socket.AF_UNIX) as door:
            door.connect(f"{folder}/{DOOR}")
            hand_over(door)

    kernel.prctl(kernel.SET_DUMPABLE, 0)
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)

    Supervisor(source, sink, Copies(home), alone=os.getpid() == 1).serve()
    os._exit(0)


if __name__ == "__main__":
    main()
