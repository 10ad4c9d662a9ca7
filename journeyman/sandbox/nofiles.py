"""What a sandbox without files or programs says when it is asked for them."""

from collections.abc import Mapping, Sequence

from journeyman.errors import SandboxError
from journeyman.sandbox.entry import Entry
from journeyman.sandbox.sandbox import ExecResult, Sandbox


class NoFiles:
    """The part of `Sandbox` that is about files and programs: each of it raises SandboxError."""

    async def exec(
        self,
        argv: Sequence[str],  # noqa: ARG002 - all of it is refused
        *,
        stdin: bytes = b"",  # noqa: ARG002 - the same
        env: Mapping[str, str] | None = None,  # noqa: ARG002 - the same
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the same
    ) -> ExecResult:
        raise _refused()

    async def read(self, path: str) -> bytes:  # noqa: ARG002 - the same
        raise _refused()

    async def write(self, path: str, data: bytes) -> None:  # noqa: ARG002 - the same
        raise _refused()

    async def list(self, path: str = ".") -> Sequence[Entry]:  # noqa: ARG002 - the same
        raise _refused()

    async def artefacts(self) -> Sequence[str]:
        return ()

    async def snapshot(self) -> int:
        raise _refused()

    async def restore(self, snapshot: int) -> None:  # noqa: ARG002 - the same
        raise _refused()

    async def branch(self, n: int) -> Sequence[Sandbox]:  # noqa: ARG002 - the same
        raise _refused()


def _refused() -> SandboxError:
    return SandboxError("this sandbox has no files and runs no programs", fix="take another backend")
