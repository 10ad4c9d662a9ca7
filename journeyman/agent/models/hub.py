"""Files of a model hub: fetched only when asked for, resumed where they broke off, checked by what the hub says.

`HF_ENDPOINT` names another hub than the default one, `HF_TOKEN` opens private files there.
"""

import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import anyio
from anyio import to_thread

from journeyman.agent.models.pull import Progress
from journeyman.errors import ModelError, ModelNotFound
from journeyman.home import data_dir, lock

DEFAULT = "https://huggingface.co"
SHA256_LENGTH = 64
PATIENCE = 60.0
"""Seconds without a byte."""


class HubFile(NamedTuple):
    repo: str
    """`owner/name`."""
    path: str
    """Inside the repository."""

    @classmethod
    def parse(cls, name: str) -> "HubFile":
        """Read `OWNER/NAME/PATH.gguf`.

        Raises:
            ModelNotFound: it has another form.
        """
        parts = name.split("/")
        if len(parts) < 3 or not all(parts) or {".", ".."} & set(parts):  # noqa: PLR2004 - owner, name and a path
            raise ModelNotFound(f"{name!r} is no file of a model hub.", fix="Write hf:OWNER/NAME/FILE.gguf.")

        return cls("/".join(parts[:2]), "/".join(parts[2:]))

    @property
    def local(self) -> Path:
        """Where it lies once it was pulled."""
        return data_dir() / "models" / self.repo / self.path

    @property
    def url(self) -> str:
        endpoint = os.environ.get("HF_ENDPOINT", DEFAULT).rstrip("/")
        return f"{endpoint}/{quote(self.repo)}/resolve/main/{quote(self.path)}"


async def pull_file(name: str, progress: Progress | None = None) -> Path:
    """Fetch `OWNER/NAME/FILE.gguf`, or what is missing of it, and return where it lies.

    Raises:
        ModelNotFound: the hub has no such file.
        ModelError: it cannot be fetched or kept, or is damaged.
    """
    import httpx2  # noqa: PLC0415 - on first use

    file = HubFile.parse(name)
    if file.local.is_file():
        return file.local

    part = file.local.with_name(file.local.name + ".part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with _alone(part, name):
            if not file.local.is_file():  # else another process had it ready a moment ago
                digest = await _download(file, part, progress or (lambda _done, _total: None))
                await to_thread.run_sync(_accept, part, file.local, digest)
    except httpx2.HTTPError as error:
        raise ModelError(
            f"{file.url} cannot be fetched: {error or type(error).__name__}.",
            fix="Check the network and pull it again: it goes on where it stopped.",
        ) from error
    except OSError as error:
        raise ModelError(f"{name} cannot be kept: {error}.", fix=f"Make room in {part.parent}.") from error

    return file.local


@contextmanager
def _alone(part: Path, name: str) -> Generator[None]:
    """Two that add to one part would spoil it."""
    with part.open("ab") as held:
        if not lock(held.fileno()):
            raise ModelError(f"{name} is being fetched by another process.", fix="Wait for it; then it is here.")

        try:
            yield
        finally:
            ours = part.exists() and os.path.samestat(os.fstat(held.fileno()), part.stat())
            if ours and not _size(part):
                part.unlink(missing_ok=True)


async def _download(file: HubFile, part: Path, progress: Progress) -> str:
    """Add what is missing to `part`; the hub's SHA-256 of the whole, or nothing where it tells none.

    Without one nothing tells whether an old part and its rest are of one file: then all of it is fetched again.
    """
    import httpx2  # noqa: PLC0415 - on first use

    token = os.environ.get("HF_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(follow_redirects=True, timeout=PATIENCE, headers=headers) as client:
        if have := _size(part):
            async with client.stream("GET", file.url, headers={"Range": f"bytes={have}-"}) as answer:
                digest = _digest([*answer.history, answer])
                if digest and answer.status_code == httpx2.codes.RANGE_NOT_SATISFIABLE:
                    return digest  # it is whole

                if digest and answer.status_code == httpx2.codes.PARTIAL_CONTENT:
                    await _save(answer, part, have, progress)
                    return digest

        async with client.stream("GET", file.url) as answer:
            _see(answer.status_code, file)
            await _save(answer, part, 0, progress)
            return _digest([*answer.history, answer])


async def _save(answer: Any, part: Path, have: int, progress: Progress) -> None:
    total = have + int(answer.headers.get("content-length", 0))
    async with await anyio.open_file(part, "ab" if have else "wb") as out:
        async for data in answer.aiter_bytes():
            await out.write(data)
            have += len(data)
            progress(have, total)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _digest(answers: list) -> str:
    """The checksum that the hub sends along, before it redirects to where the bytes are."""
    tags = [answer.headers.get("x-linked-etag") or answer.headers.get("etag") or "" for answer in answers]
    named = [tag.removeprefix("W/").strip('"') for tag in tags]
    return next((tag for tag in named if len(tag) == SHA256_LENGTH), "")


def _see(status: int, file: HubFile) -> None:
    if status in (401, 403, 404):
        raise ModelNotFound(
            f"The hub has no {file.path!r} in {file.repo!r}, or it is not open to you (HTTP {status}).",
            fix="Check the name; for a private or gated model set HF_TOKEN.",
        )

    if status != 200:  # noqa: PLR2004 - HTTP's own number
        raise ModelError(f"The hub answered with HTTP {status}.", fix="Try again later.")


def _accept(part: Path, target: Path, digest: str) -> None:
    """Keep the file if it is what the hub says it is."""
    if digest:
        with part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()

        if found != digest:
            part.unlink()
            raise ModelError(f"{target.name} arrived damaged: its checksum is wrong.", fix="Pull it again.")

    part.replace(target)
