"""The real command in a process of its own, in a folder and a home of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Place:
    """Where the command runs."""

    folder: Path
    home: Path

    def __call__(self, *words: str, terminal: int | None = None, **variables: str) -> Done:
        """Nobody is there, unless a terminal is given."""
        done = subprocess.run(
            [sys.executable, "-m", "journeyman", *words],
            cwd=self.folder,
            env={**os.environ, "JOURNEYMAN_HOME": str(self.home), **variables},
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            capture_output=True,
            encoding="utf-8",
            timeout=50,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def config(self, name: str, text: str) -> Path:
        """A file of the user's own, in the configuration folder."""
        path = self.home / "config" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path
