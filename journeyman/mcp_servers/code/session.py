"""Python for a model: one sandboxed session, opened on first use, whose results are short enough to read."""

import anyio

from journeyman.errors import SandboxError, ToolError
from journeyman.sandbox.sandbox import CellResult, Sandbox, Spec
from journeyman.sandbox.select import open_sandbox

MAX_CHARACTERS = 16_000
MAX_CODE = 100_000


class Session:
    """State persists from call to call, until the code is stopped or the session closed; then it starts afresh."""

    def __init__(self, spec: Spec | None = None) -> None:
        self._spec = spec or Spec()
        self._lock = anyio.Lock()
        self._sandbox: Sandbox | None = None

    async def python(self, code: str) -> str:
        """What the code printed, then the value of its last expression.

        Raises:
            ToolError: the code failed, was stopped or needs what the sandbox lacks; with what it printed so far.
            SandboxError: there is no sandbox here.
        """
        if len(code) > MAX_CODE:
            raise ToolError(f"the code has {len(code)} characters; at most {MAX_CODE} are allowed")

        async with self._lock:
            result = await self._run(code)

        if result.status != "ok":
            raise ToolError(_text(result, result.error or result.status))

        return _text(result, result.value or "") or "(no output)"

    async def _run(self, code: str) -> CellResult:
        """In the sandbox that there is; in a new one where it ended, which its last result told."""
        if self._sandbox is not None:
            try:
                return await self._sandbox.run_python(code)
            except SandboxError:
                await self.close()

        self._sandbox = await open_sandbox(self._spec)
        return await self._sandbox.run_python(code)

    async def close(self) -> None:
        sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None:
            await sandbox.close()


def _text(result: CellResult, last: str) -> str:
    pieces = [result.stdout.rstrip("\n"), result.stderr.rstrip("\n"), last]
    return _shortened("\n".join(piece for piece in pieces if piece))


def _shortened(text: str) -> str:
    """Begin and end of a long text: what matters is rarely in the middle."""
    if len(text) <= MAX_CHARACTERS:
        return text

    half = MAX_CHARACTERS // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
