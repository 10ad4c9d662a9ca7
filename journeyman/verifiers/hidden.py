"""Hidden tests: written beside what the run left only when it is judged, in a sandbox that nobody has used before.

Test files that import what they test share an interpreter with it, which `functions` and `program` avoid. So here a
test is run that must fail, under a name that nobody could know: whoever ends the tests early, makes every test pass or
writes a report of his own is found out by it. What was left of pytest's own files (conftest.py, pytest.ini, ...) is not
believed either. NOT covered: values that say they equal everything, and a program that takes this very verifier apart
while it runs; `functions` withstands both.
"""

import re
import secrets
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from journeyman.errors import SandboxError, install
from journeyman.sandbox.sandbox import ExecResult, Limits, Sandbox, Spec
from journeyman.sandbox.select import open_sandbox
from journeyman.verifiers.case import Case
from journeyman.verifiers.check import verifier
from journeyman.verifiers.score import Score, short

PRELOAD = ("pytest",)
"""As in `program`."""
SHOWN = 300
SETTINGS = frozenset(("pytest.ini", ".pytest.ini", "pytest.toml", "tox.ini", "setup.cfg", "pyproject.toml"))
"""Where pytest is told how to run; believed only where they come with the tests."""
PLANTED = frozenset(("conftest.py", "pytest.py", "sitecustomize.py", "usercustomize.py"))
"""Code that would run beside the tests."""
REPORTED = re.compile(r"^(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) (\S.*?)(?: - .*)?$", re.MULTILINE)
PYTEST = ("python3", "-P", "-m", "pytest", "-q", "-rA", "--tb=line", "-p", "no:cacheprovider", "-o", "pythonpath=. src")


@verifier("tests/1", answer=False)
async def hidden(
    case: Case,
    *,
    files: dict[str, str],
    must: Sequence[str] = (),
    command: Sequence[str] = (),
    seconds: float = 60,
    backend: str = "auto",
) -> Score:
    """Tests that the run has never seen pass.

    Args:
        case: the run.
        files: path -> text of the tests, and of whatever steers them; they replace what the run left there.
        must: the tests that must pass, as pytest names them; by default all there are.
        command: what says by its exit code whether they pass, in place of pytest (`["sh", "tests/test.sh"]`).
        seconds: for all of them.
        backend: the sandbox, see `Spec`. Its Python must have pytest, or this one.
    """
    settings = any(PurePosixPath(path).name in SETTINGS for path in files)
    barred = PLANTED | SETTINGS if settings else PLANTED
    left = {path: text for path, text in case.files.items() if path not in files and not _is_one(path, barred)}
    canary = _canary(files)
    sandbox = await furnished({**left, **files, **canary}, seconds=seconds, backend=backend, pytest=not command)
    try:
        if command:
            result = await sandbox.exec(command, timeout=seconds)
            return _by_exit(result)

        names = [*dict.fromkeys(name.partition("::")[0] for name in must)] or [*filter(_is_test, files)]
        env = {"PYTHONPATH": sysconfig.get_path("purelib"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        plain = () if settings else ("-c", "/dev/null", "--rootdir", ".")
        result = await sandbox.exec([*PYTEST, *plain, *names, *canary], timeout=seconds, env=env)
    finally:
        await sandbox.close()

    return _by_report(result, set(must), next(iter(canary)))


async def furnished(
    files: Mapping[str, str | None], *, seconds: float, backend: str = "auto", pytest: bool = False
) -> Sandbox:
    """A fresh sandbox with these files; what is no text is left out.

    Raises:
        SandboxError: there is none.
        ToolError: a path leads out of it.
    """
    limits = Limits(wall_s=seconds, memory_mb=1024)
    spec = Spec(backend=backend, limits=limits, preload=PRELOAD if pytest else ())
    sandbox = await open_sandbox(spec)
    try:
        for path, text in files.items():
            if text is not None:
                await sandbox.write(path, text.encode())
    except BaseException:
        await sandbox.close()
        raise

    return sandbox


def _is_one(path: str, names: frozenset[str]) -> bool:
    return PurePosixPath(path).name in names or path.endswith(".pth")


def _is_test(path: str) -> bool:
    name = PurePosixPath(path).name
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def _canary(files: Mapping[str, str]) -> dict[str, str]:
    """A test that fails, beside the others and run after them."""
    name, n = secrets.token_hex(4), secrets.randbelow(1000)
    folder = next((PurePosixPath(path).parent for path in files if _is_test(path)), PurePosixPath("tests"))
    text = f"def test_{name}():\n    value = {n} * 2\n    assert value == {n * 2 + 1}\n"
    return {str(folder / f"test_{name}.py"): text}


def _by_exit(result: ExecResult) -> Score:
    _demand_there(result)
    return Score.of(result.status == "ok" and result.exit_code == 0, _told(result))


def _by_report(result: ExecResult, must: set[str], canary: str) -> Score:
    _demand_there(result)
    if "No module named pytest" in result.stderr:
        raise SandboxError("the sandbox's Python has no pytest", fix=install("journeyman[tasks]"))

    reported = _reported(result.stdout)
    failed = reported.pop(next((name for name in reported if name.startswith(f"{canary}::")), ""), "")
    if failed != "FAILED":
        return Score.of(0, f"a test that must fail did not, so the others are not believed; {_told(result)}")

    wanted = must or set(reported)
    wrong = sorted(name for name in wanted if reported.get(name) != "PASSED")
    if wrong:
        return Score.of(0, f"{len(wrong)} of {len(wanted)} tests do not pass: {', '.join(wrong[:5])}")

    return Score.of(bool(wanted), f"{len(wanted)} of {len(wanted)} tests pass" if wanted else "there is no test")


def _reported(text: str) -> dict[str, str]:
    """By name, the verdict on each test; of several the one that is not `PASSED`."""
    seen: dict[str, str] = {}
    for verdict, name in REPORTED.findall(text):
        seen[name] = verdict if seen.get(name, "PASSED") == "PASSED" else seen[name]

    return seen


def _demand_there(result: ExecResult) -> None:
    if result.status == "lost":
        raise SandboxError(f"the sandbox was lost: {result.error}")


def _told(result: ExecResult) -> str:
    return f"{result.status} {result.error or result.exit_code}: {short((result.stdout + result.stderr)[-SHOWN:])}"
