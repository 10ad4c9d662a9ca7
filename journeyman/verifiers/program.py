"""Does code that the run wrote do what it must: run in a fresh sandbox, judged outside of it.

The expected values never enter the sandbox and the verdict never leaves it: graded code can only hand out values, and
those are compared here. So it can print "all tests passed", exit, patch `json` or `assert`, and gains nothing.
"""

import json
import re
from typing import Any

from journeyman.errors import SandboxError
from journeyman.sandbox.sandbox import CellResult, Limits, Sandbox, Spec
from journeyman.sandbox.select import open_sandbox
from journeyman.verifiers.case import Case
from journeyman.verifiers.check import verifier
from journeyman.verifiers.score import Score, short

PRELOAD: tuple[str, ...] = ()
"""What its sandboxes have ready; the worker starts their server once."""
FENCED = re.compile(r"```(?:python|py)?\s*\n(.*?)```", re.DOTALL)


@verifier("functions/1", answer=False)
async def functions(
    case: Case,
    *,
    calls: list[dict[str, Any]],
    source: str = "",
    seconds: float = 10,
    share: bool = False,
    backend: str = "auto",
) -> Score:
    """Functions return what they must.

    Args:
        case: the run.
        calls: `{"call": "f", "args": [1, 2], "expect": 3}`; arguments and values are JSON.
        source: the file with the code; by default the answer's own code block.
        seconds: for each call.
        share: the share of right calls counts, else all must be right.
        backend: the sandbox, see `Spec`.
    """
    code = _code(case, source)
    if code is None:
        return Score.of(0, f"there is no code: {source or 'no code block in the answer'}")

    right, wrong = 0, ""
    sandbox = await _open(seconds, backend)
    try:
        loaded = await sandbox.run_python(code)
        if loaded.status != "ok":
            return _failed(loaded)

        for each in calls:
            result = await sandbox.run_python(_called(each["call"], each.get("args", [])))
            if _value(result) == each["expect"]:
                right += 1
            else:
                wrong = wrong or f"{each['call']}({str(each.get('args', []))[1:-1]}) gave {_told(result)}"
    finally:
        await sandbox.close()

    value = right / len(calls) if share else float(right == len(calls))
    return Score.of(value, f"{right} of {len(calls)} right{'; ' + wrong if wrong else ''}")


@verifier("program/1", answer=False)
async def program(
    case: Case, *, cases: list[dict[str, str]], source: str = "", seconds: float = 10, backend: str = "auto"
) -> Score:
    r"""A program prints what it must: `{"input": "3 4\n", "output": "7"}`; spaces at the ends do not count."""
    code = _code(case, source)
    if code is None:
        return Score.of(0, f"there is no code: {source or 'no code block in the answer'}")

    for each in cases:
        sandbox = await _open(seconds, backend)
        try:
            result = await sandbox.run_python(_fed(each.get("input", "")) + code)
        finally:
            await sandbox.close()

        if result.status != "ok":
            return _failed(result)

        if result.stdout.split() != each["output"].split():
            return Score.of(0, f"for {short(each.get('input', ''))} it printed {short(result.stdout)}")

    return Score.of(1, f"{len(cases)} of {len(cases)} right")


async def _open(seconds: float, backend: str) -> Sandbox:
    return await open_sandbox(Spec(backend=backend, limits=Limits(wall_s=seconds)))


def _code(case: Case, source: str) -> str | None:
    if source:
        return case.files.get(source)

    found = FENCED.findall(case.answer or "")
    return found[-1] if found else None


def _called(name: str, arguments: list[Any]) -> str:
    return (
        f"import json as _json\nprint('\\x1e' + _json.dumps({name}(*_json.loads({json.dumps(json.dumps(arguments))}))))"
    )


def _fed(text: str) -> str:
    return f"import io as _io, sys as _sys\n_sys.stdin = _io.StringIO({text!r})\n"


def _value(result: CellResult) -> Any:
    """What the call printed last; anything else is not a value that could be expected."""
    _, _, text = result.stdout.rpartition("\x1e")
    try:
        return json.loads(text) if result.status == "ok" else _told(result)
    except ValueError:
        return _told(result)


def _told(result: CellResult) -> str:
    return (
        short(result.stdout.rpartition("\x1e")[2].strip())
        if result.status == "ok"
        else f"{result.status} {short(result.error)}"
    )


def _failed(result: CellResult) -> Score:
    if result.status == "lost":
        raise SandboxError(f"the sandbox was {result.status}: {result.error}")

    return Score.of(0, f"{result.status}: {short(result.error)}")
