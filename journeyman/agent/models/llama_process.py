"""The parent's hold on the engine's process: started at once, waited for without blocking, told apart when it fails."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from journeyman.agent.models.engine import CONTEXT, Engine, free_threads
from journeyman.agent.models.files import ModelFiles, kv_bytes, missing_bytes
from journeyman.agent.models.model import RESUME
from journeyman.agent.models.tokenise import Tokeniser
from journeyman.agent.models.wire import Wire
from journeyman.errors import BadModelFile, EngineDied, EngineOutOfMemory, ModelError, ModelNotFound, install

LOADING = 900.0
"""Seconds a model may take to load from a slow disk."""
CACHE_MB = 512
"""Memory for prompts of conversations that are not being decoded just now."""
TAIL = 4000
REASON = "error loading model"
SIGKILL, SIGABRT = 9, 6
SMALLER = "Use a smaller model or a smaller context, or close other programs."
NO_MEMORY = ("failed to allocate", "out of memory", "unable to allocate", "bad_alloc")
"""How the engine says that it got no memory."""


class EngineProcess:
    """One running engine. `wire` is how to talk to it and `tokenise` its tokeniser, once `ready` has returned."""

    found: dict[str, Any]
    """What the engine says of itself."""
    wire: Wire
    tokenise: Tokeniser

    def __init__(self, files: ModelFiles, engine: Engine) -> None:
        """Start it; this takes milliseconds, loading goes on in the other process.

        Raises:
            BadModelFile: the model's header makes no sense.
        """
        self._files = files
        self._kv_bytes = kv_bytes(files.model)
        self._key = secrets.token_urlsafe(24)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._oom_kills = oom_kills()
        self.threads = engine.threads or free_threads()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "journeyman.agent.models.llama_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "GGML_NO_BACKTRACE": "1"},
            # Ctrl-C at the terminal is for the run, which then stops the engine in order.
            start_new_session=True,
        )
        self._tell(engine)

    def _tell(self, engine: Engine) -> None:
        # The kernel ends a child with the *thread* that started it: only the main thread lives as long as the process.
        main = sys.platform == "linux" and threading.current_thread() is threading.main_thread()
        wanted = {
            "model": str(self._files.model),
            "adapters": [str(path) for path in self._files.adapters],
            "size": self._files.model.stat().st_size,
            "kv_bytes": self._kv_bytes * (engine.context or CONTEXT) * engine.parallel,
            "context": engine.context or CONTEXT,
            "parallel": engine.parallel,
            "threads": self.threads,
            "gpu_layers": engine.gpu_layers,
            "cache_mb": CACHE_MB,
            "key": self._key,
            "parent": os.getpid() if main else 0,
        }
        assert self.process.stdin is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(BrokenPipeError):  # it has ended already, and `ready` tells why
            self.process.stdin.write(json.dumps(wanted).encode() + b"\n")
            self.process.stdin.flush()

    async def ready(self) -> None:
        """Wait until the model is loaded.

        Raises:
            ModelNotFound: the engine is not installed.
            ModelError: the model does not load.
            EngineDied: the process ended while it loaded.
        """
        assert self.process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            with anyio.fail_after(LOADING):
                line = await to_thread.run_sync(self.process.stdout.readline, abandon_on_cancel=True)
        except TimeoutError as error:
            raise ModelError(
                f"{self._files.model.name} is not loaded after {LOADING:.0f} seconds.",
                fix="Use a smaller model, or put it on a faster disk.",
            ) from error

        if not line:
            raise await self.died()

        found = json.loads(line)
        if error := found.get("error"):
            raise self._refusal(error, found.get("text", ""))

        self.wire = Wire(found["address"], self._key)
        self.tokenise = Tokeniser(self.wire)
        self.found = found

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    async def died(self, error: Exception | None = None) -> EngineDied:
        """Why the process ended, as an error to raise; one that hangs is ended, so that the next call starts another.

        error: how that was noticed.
        """
        if isinstance(error, TimeoutError):
            await self.end()
            return EngineDied("The local engine stopped answering.", fix=RESUME)

        await self._reap()
        code = self.process.returncode
        if code is None:
            return EngineDied(f"The local engine still runs, but broke off: {error}.", fix=RESUME)

        why, fix = f"with exit code {code}", f"{RESUME} (if that fails too, try another model file)"
        if code == -SIGKILL and oom_kills() > self._oom_kills:
            return EngineOutOfMemory("The local engine was killed: the system ran out of memory.", fix=SMALLER)

        if code == -SIGKILL:
            why, fix = "because it was killed", f"{RESUME} Where memory was short: {SMALLER}"
        elif code == -SIGABRT:
            why = "by its own abort"

        return EngineDied(f"The local engine ended {why}.{self._told()}", fix=fix)

    def log(self, since: int = 0) -> str:
        """What the engine wrote to its log after the first `since` bytes."""
        return os.pread(self._log.fileno(), 1 << 20, since).decode(errors="replace")

    @property
    def log_size(self) -> int:
        return os.fstat(self._log.fileno()).st_size

    async def close(self) -> None:
        """End it; nothing in it needs to be saved."""
        await self.end()
        self.drop()

    async def end(self) -> None:
        self.process.kill()
        await self._reap()

    def drop(self) -> None:
        """Close what is open to a process that has ended, or that is told to by this."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

        self._log.close()

    async def _reap(self) -> None:
        def wait() -> None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(2)

        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(wait)

    def _told(self) -> str:
        lines = self.log(max(0, self.log_size - TAIL)).strip().splitlines()
        reasons = [line for line in lines if REASON in line] or lines
        return f" Its last words: {reasons[-1]}" if reasons else ""

    def _refusal(self, error: str, text: str) -> ModelError:
        if error == "no_engine":
            return ModelNotFound(f"The local engine is not installed: {text}.", fix=install("journeyman[local]"))

        if any(words in self.log().lower() for words in NO_MEMORY):
            return EngineOutOfMemory(f"There is no memory for {self._files.model.name}.{self._told()}", fix=SMALLER)

        for path in (self._files.model, *self._files.adapters):
            try:
                missing = missing_bytes(path)
            except (ValueError, OSError, OverflowError, MemoryError, RecursionError):
                return BadModelFile(f"The header of {str(path)!r} makes no sense.", fix="Get the file again.")

            if missing:
                return BadModelFile(
                    f"{str(path)!r} is truncated: its end is missing.", fix="Copy or download it again."
                )

        return ModelError(
            f"{self._files.model.name} does not load: {text}.{self._told()}",
            fix="Try a smaller context, a newer engine, or an adapter made for this very model.",
        )


def oom_kills() -> int:
    """Processes that the system has killed for want of memory, since it started; 0 where it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0

    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
