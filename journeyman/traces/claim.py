"""Who goes on with a run: one process at a time, known to the operating system or the database server.

Both take a claim back when its process ends, `kill -9` included, so that nothing has to be cleared away. On SQLite a
claim is a lock on one byte of the empty file `<store>-live`; on PostgreSQL it is an advisory lock of the connection.
"""

import errno
import os
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

if sys.platform != "win32":  # there a second writer is noticed by the numbers of its events
    import fcntl


class Claims(Protocol):
    def take(self, run_id: str) -> bool:
        """Claim a run; False where another process has it."""

    def give(self, run_ids: Sequence[str]) -> None: ...

    def close(self) -> None: ...


class FileClaims:
    """Claims of whoever has the file open; a copy of a process (`fork`) shares its parent's."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self, run_id: str) -> bool:
        if sys.platform == "win32":
            return True

        try:
            self._set(fcntl.F_WRLCK, run_id)
        except OSError as error:
            return error.errno not in {errno.EAGAIN, errno.EACCES}  # else: a file system without locks

        return True

    def give(self, run_ids: Sequence[str]) -> None:
        if sys.platform == "win32":
            return

        with suppress(OSError):
            for run_id in run_ids:
                self._set(fcntl.F_UNLCK, run_id)

    def close(self) -> None:
        os.close(self._file)

    def _set(self, kind: int, run_id: str) -> None:
        at = int.from_bytes(sha256(run_id.encode()).digest()[:8], "big") >> 2  # no file is so long
        if sys.platform == "linux":  # a lock of the open file, not of the process: two stores in one do not share it
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, struct.pack("hhqqi0q", kind, os.SEEK_SET, at, 1, 0))
        elif sys.platform != "win32":
            operation = fcntl.LOCK_UN if kind == fcntl.F_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB
            fcntl.lockf(self._file, operation, 1, at)


class ServerClaims:
    """Claims of one connection, or of its transaction only."""

    def __init__(self, cursor: Any, *, transaction: bool = False) -> None:
        self._cursor = cursor
        self._transaction = transaction

    def take(self, run_id: str) -> bool:
        scope = "xact_" if self._transaction else ""
        self._cursor.execute(f"SELECT pg_try_advisory_{scope}lock({_KEY})", (run_id,))
        return self._cursor.fetchone()[0]

    def give(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            self._cursor.execute(f"SELECT pg_advisory_unlock({_KEY})", (run_id,))

    def close(self) -> None:
        """They end with the connection."""


_KEY = "hashtextextended(current_schema() || ' ' || %s, 0)"
