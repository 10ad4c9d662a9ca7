"""The processes of a sandbox: the worker and the commands, forked, confined, reaped, ended.

Only the standard library.
"""

import errno
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from journeyman.sandbox.inside import kernel, proc, worker
from journeyman.sandbox.inside.frames import Reader
from journeyman.sandbox.inside.job import End, Job

RICH_MAX = 4 * 1024 * 1024
"""Bytes that a worker may answer: its value, and pictures and the like."""
_CHANNEL = 3
_REMEMBERED = 1000
_ROUNDS = 64


class Children:
    """Those of one supervisor.

    `confine` is called in each new process, last of all; `alone` says that this is the PID 1 of a namespace, so that
    every process there is the sandbox's.
    """

    def __init__(self, home: str, host: int, confine: Callable[[], None], *, alone: bool) -> None:
        self.settings: dict[str, Any] = {}
        self.worker: Job | None = None
        self._home = home
        self._host = host
        self._confine = confine
        self._alone = alone
        self._ended: dict[int, tuple[int, Any]] = {}
        self._wake, sender = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # which an init process ignores
        signal.set_wakeup_fd(sender, warn_on_full_buffer=False)

    def hire(self) -> Job:
        """The worker; forked if there is none."""
        if self.worker is not None:
            return self.worker

        ours, theirs = socket.socketpair()
        out, err, pid = self._fork(lambda: self._work(theirs))
        theirs.close()
        ours.setblocking(False)
        reader = Reader(RICH_MAX, header_max=8192)
        self.worker = Job(pid, out, err, ours.fileno(), memoryview(b""), 0, channel=ours, reader=reader)
        return self.worker

    def spawn(self, argv: list[str], env: dict[str, str], stdin: bytes, room: int) -> Job:
        """Run a program."""
        feed, push = os.pipe2(os.O_CLOEXEC)
        out, err, pid = self._fork(lambda: self._execute(argv, env, feed))
        os.close(feed)
        os.set_blocking(push, False)
        return Job(pid, out, err, push, memoryview(stdin), room)

    def run(self, job: Job, seconds: float) -> End:
        def ended() -> bool:
            self.reap()
            return job.pid in self._ended

        return job.run(time.monotonic() + seconds, self._wake, self._host, ended)

    def how(self, pid: int) -> tuple[int, Any]:
        """Exit code and resource usage of a process that ended, once; a killed one's where it is not known."""
        status, usage = self._ended.pop(pid, (signal.SIGKILL, None))
        return os.waitstatus_to_exitcode(status), usage

    def fire(self) -> None:
        """End everything but the supervisor."""
        job, self.worker = self.worker, None
        with suppress(ProcessLookupError):
            if self._alone:
                os.kill(-1, signal.SIGKILL)
                self.reap(wait=True)
            elif job is not None and job.pid not in self._ended:
                os.killpg(job.pid, signal.SIGKILL)
                self.reap(job.pid, wait=True)

        if job is not None:
            job.close()

    def end_strays(self, pid: int) -> None:
        """End a command and everything else that is not the worker's: what it started may have left its tree."""
        for _ in range(_ROUNDS):
            strays = {pid} - self._ended.keys()
            if self._alone:
                strays = proc.others(self.worker.pid if self.worker else 0)

            if not strays:
                return

            for stray in strays:
                with suppress(ProcessLookupError):
                    os.kill(stray, signal.SIGKILL)

            with suppress(ChildProcessError):
                self._note(*os.wait4(-1 if self._alone else pid, 0))

        self.fire()  # it forks faster than it can be found

    def reap(self, pid: int = -1, *, wait: bool = False) -> None:
        """Note every child that ended; with `wait`, until all have, or the one."""
        with suppress(BlockingIOError):
            while os.read(self._wake, 512):
                pass

        with suppress(ChildProcessError):
            while (ended := os.wait4(pid, 0 if wait else os.WNOHANG))[0]:
                self._note(*ended)

    def _note(self, pid: int, status: int, usage: Any) -> None:
        if len(self._ended) > _REMEMBERED:  # strays of which nobody asks
            self._ended.clear()

        self._ended[pid] = (status, usage)

    def _fork(self, work: Callable[[], None]) -> tuple[int, int, int]:
        """A child that does `work` and nothing else: where its stdout and stderr come out, and its pid."""
        out, out_end = os.pipe2(os.O_CLOEXEC)
        err, err_end = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            try:
                self._become(out_end, err_end)
                work()
            except BaseException as error:  # noqa: BLE001 - a child must never go on as its parent
                os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="backslashreplace"))
                os._exit(1)

            os._exit(0)

        os.close(out_end)
        os.close(err_end)
        os.set_blocking(out, False)
        os.set_blocking(err, False)
        return out, err, pid

    def _become(self, out: int, err: int) -> None:
        """What every child is before it does its work."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        nothing = os.open("/dev/null", os.O_RDONLY)
        for old, new in ((nothing, 0), (out, 1), (err, 2)):
            os.dup2(old, new)

        os.chdir(self._home)
        for name, most in self.settings.get("rlimits", {}).items():
            _limit(getattr(resource, f"RLIMIT_{name}"), most)

        if memory := self.settings.get("memory"):
            _limit(resource.RLIMIT_AS, proc.mapped() + memory)

        if not self._alone:
            kernel.prctl(kernel.DEATH_SIGNAL, signal.SIGKILL)

        kernel.prctl(kernel.SET_DUMPABLE, 1)
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # before the supervisor
            score.write("1000")

    def _work(self, channel: socket.socket) -> None:
        os.dup2(channel.fileno(), _CHANNEL, inheritable=False)
        os.closerange(_CHANNEL + 1, 1 << 16)
        channel.detach()
        self._confine()
        worker.serve(socket.socket(fileno=_CHANNEL), self._home, self.settings.get("seed"))

    def _execute(self, argv: list[str], env: dict[str, str], stdin: int) -> None:
        os.dup2(stdin, 0)
        os.closerange(_CHANNEL, 1 << 16)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        self._confine()
        try:
            os.execvpe(argv[0], argv, {**os.environ, **env})
        except OSError as error:
            os.write(2, f"{argv[0]}: {error.strerror}\n".encode(errors="backslashreplace"))
            os._exit(126 if error.errno == errno.EACCES else 127)


def _limit(kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))
