import os
import resource
from collections.abc import AsyncGenerator

import anyio
import pytest
from inline_snapshot import snapshot

from journeyman.errors import SandboxError
from journeyman.sandbox.monty import Monty, MontySandbox
from journeyman.sandbox.sandbox import CellResult, Limits, Probe, Spec
from journeyman.sandbox.select import open_sandbox, probe_all

SMALL = Spec(limits=Limits(wall_s=30, memory_mb=32, output_kb=4))
HASTY = Spec(limits=Limits(wall_s=0.5, memory_mb=32, output_kb=4))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def sandbox() -> AsyncGenerator[MontySandbox]:
    sandbox = await Monty().open(SMALL)
    yield sandbox
    await sandbox.close()


def fixed(result: CellResult) -> CellResult:
    return result.model_copy(update={"wall_ms": 0.0})


async def test_a_cell_gives_what_it_printed_and_the_value_of_its_last_expression(sandbox: MontySandbox) -> None:
    result = await sandbox.run_python("import sys\nprint('out')\nprint('err', file=sys.stderr)\n[1, 'a']")
    assert fixed(result) == CellResult(status="ok", stdout="out\n", stderr="err\n", value="[1, 'a']")


async def test_variables_persist_until_reset(sandbox: MontySandbox) -> None:
    await sandbox.run_python("x = 20\ndef double(n): return n * 2")
    assert (await sandbox.run_python("double(x) + 2")).value == "42"
    await sandbox.reset()
    assert (await sandbox.run_python("x")).error == "line 1: x\nNameError: name 'x' is not defined"


async def test_an_error_tells_where_and_what_and_keeps_the_state(sandbox: MontySandbox) -> None:
    await sandbox.run_python("def f(n):\n    return 1 / n")
    result = await sandbox.run_python("print('before')\nx = 1\nf(0)")
    assert fixed(result) == snapshot(
        CellResult(
            status="error",
            stdout="before\n",
            error="""\
line 3: f(0)
line 2, in f: return 1 / n
ZeroDivisionError: division by zero\
""",
        )
    )
    assert (await sandbox.run_python("x")).value == "1"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (
            "import numpy",
            snapshot("""\
line 1: import numpy
this sandbox runs a safe subset of Python: no module 'numpy'; there are math, random, re, json, datetime, collections, itertools, ...\
"""),  # noqa: E501
        ),
        (
            "class A: pass\nclass B(A): pass",
            snapshot("""\
line 2: class B(A): pass
this sandbox runs a safe subset of Python: no class inheritance and metaclasses\
"""),
        ),
        (
            "def g():\n    yield 1",
            snapshot("""\
line 2: yield 1
this sandbox runs a safe subset of Python: no yield expressions\
"""),
        ),
        (
            "input('name?')",
            snapshot("""\
line 1: input('name?')
this sandbox runs a safe subset of Python: no input()\
"""),
        ),
        (
            "import sys\nsys.exit(1)",
            snapshot("""\
line 2: sys.exit(1)
this sandbox runs a safe subset of Python: no sys.exit\
"""),
        ),
        (
            "open('/etc/passwd').read()",
            snapshot("""\
line 1: open('/etc/passwd').read()
PermissionError: Permission denied: '/etc/passwd': this sandbox has no files\
"""),
        ),
        (
            "import os\nos.environ",
            snapshot("""\
line 2: os.environ
this sandbox runs a safe subset of Python: RuntimeError: 'os.environ' is not supported in this environment\
"""),
        ),
        (
            "def f(:",
            snapshot("""\
line 1: def f(:
SyntaxError: Expected a parameter or the end of the parameter list\
"""),
        ),
        ("print(", snapshot("SyntaxError: unexpected EOF while parsing")),
        (
            "().__class__.__bases__",
            snapshot("""\
line 1: ().__class__.__bases__
AttributeError: 'tuple' object has no attribute '__class__'\
"""),
        ),
        (
            "__import__('os').system('id')",
            snapshot("""\
line 1: __import__('os').system('id')
this sandbox runs a safe subset of Python: no __import__()\
"""),
        ),
    ],
)
async def test_what_the_sandbox_lacks_or_forbids_is_said(sandbox: MontySandbox, code: str, error: str) -> None:
    result = await sandbox.run_python(code)
    assert (result.status, result.error) == ("error", error)


async def test_a_denied_file_is_told_as_a_denial(sandbox: MontySandbox) -> None:
    assert (await sandbox.run_python("open('/etc/passwd')")).denials == (
        "PermissionError: Permission denied: '/etc/passwd'",
    )


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("while True: pass", "timeout"),
        ("try:\n    while True: pass\nexcept BaseException: pass", "timeout"),
        ("class A:\n    def __repr__(self):\n        while True: pass\nA()", "timeout"),
        ("7 ** 10 ** 7", "timeout"),
        ("[0] * 10 ** 9", "oom"),
        ("x = []\nwhile True: x.append('a' * 100_000)", "oom"),
        ("l = []\nfor i in range(40): l = [l, l]\nrepr(l)", "oom|timeout"),
        ("while True: print('x' * 1000)", "output_limit"),
        ("print('x' * 10 ** 7)", "output_limit"),
        ("try:\n    while True: print('x')\nexcept BaseException:\n    while True: pass", "output_limit"),
        ("list(range(3000))", "output_limit"),
        ("def f(n): return f(n + 1)\nf(0)", "error"),
        ("eval('(' * 100000)", "error"),
        ("import json\njson.loads('[' * 100000)", "error"),
        ("import re\nre.match('(a+)+$', 'a' * 40 + 'b')", "error|ok|timeout"),
    ],
)
async def test_a_bomb_ends_with_its_status_and_the_session_goes_on(code: str, status: str) -> None:
    sandbox = await Monty().open(HASTY if "timeout" in status else SMALL)
    result = await sandbox.run_python(code)
    assert result.status in status.split("|")
    assert len(result.stdout) + len(result.stderr) + len(result.value or "") < 5_000
    assert (await sandbox.run_python("1 + 1")).value == "2"
    await sandbox.close()


async def test_output_is_cut_and_the_cut_is_shown(sandbox: MontySandbox) -> None:
    result = await sandbox.run_python("print('start')\nwhile True: print('x' * 100)")
    assert result.stdout.startswith("start\nxxx")
    assert result.stdout.endswith("[the rest of the output was cut off]")
    assert result.error == "there was too much output; variables are lost"


async def test_bombs_leave_the_host_small(sandbox: MontySandbox) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for code in ("[0] * (3 << 20)", "'x' * (25 << 20)", "while True: print('y' * 100000)"):
        await sandbox.run_python(code)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


async def test_sleep_returns_at_once(sandbox: MontySandbox) -> None:
    result = await sandbox.run_python("import time\ntime.sleep(3600)\n'awake'")
    assert result.value == "'awake'"


async def test_a_cell_may_have_less_time_than_the_session(sandbox: MontySandbox) -> None:
    result = await sandbox.run_python("print('a')\nwhile True: pass", timeout=0.05)
    assert result.status == "timeout"
    assert result.error == "the code ran too long and was stopped; variables are lost"
    assert result.wall_ms < 30_000


async def test_cancelling_kills_the_worker_at_once(sandbox: MontySandbox) -> None:
    with anyio.move_on_after(0.1) as scope:
        await sandbox.run_python("while True: pass")

    assert scope.cancelled_caught
    assert (await sandbox.run_python("'alive'")).value == "'alive'"


async def test_a_worker_that_is_killed_is_a_crash_and_the_next_cell_gets_a_new_one(sandbox: MontySandbox) -> None:
    worker = sandbox._worker
    assert worker is not None
    async with anyio.create_task_group() as tasks:

        async def shoot() -> None:
            await anyio.sleep(0.05)
            worker.kill()

        tasks.start_soon(shoot)
        result = await sandbox.run_python("while True: pass")

    assert (result.status, result.error) == ("crashed", "the sandbox's process ended; variables are lost")
    assert (await sandbox.run_python("2")).value == "2"


async def test_closing_ends_the_process_and_refuses_more_work() -> None:
    sandbox = await Monty().open(SMALL)
    worker = sandbox._worker
    assert worker is not None
    await sandbox.close()
    with pytest.raises(ProcessLookupError):
        os.kill(worker._pid or 0, 0)

    with pytest.raises(SandboxError, match="closed"):
        await sandbox.run_python("1")


async def test_cells_asked_for_together_run_one_after_another(sandbox: MontySandbox) -> None:
    await sandbox.run_python("n = 0")
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(sandbox.run_python, "n = n + 1")

    assert (await sandbox.run_python("n")).value == "20"


async def test_a_seed_makes_random_numbers_repeatable() -> None:
    values = []
    for seed in (7, 7, 8):
        sandbox = await open_sandbox(Spec(seed=seed))
        values.append((await sandbox.run_python("import random\nrandom.random()")).value)
        await sandbox.close()

    assert values[0] == values[1] != values[2]


async def test_two_sessions_share_nothing(sandbox: MontySandbox) -> None:
    await sandbox.run_python("mine = 1")
    other = await Monty().open(SMALL)
    assert (await other.run_python("mine")).status == "error"
    await other.close()


async def test_the_probe_promises_only_what_was_tried() -> None:
    promises = ("no_files", "no_network", "no_programs", "memory_limit", "time_limit")
    assert await probe_all((Monty(),)) == [
        Probe(
            backend="monty",
            available=True,
            level=1,
            reason="a subset of Python, in a process of its own",
            guarantees=dict.fromkeys(promises, True),
        )
    ]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (Spec(backend="moon"), snapshot(("there is no sandbox 'moon'", "take one of: auto, monty, unsafe-subprocess"))),
        (
            Spec(min_isolation=3),
            snapshot(
                (
                    "no sandbox is good enough (monty: monty gives isolation level 1, level 3 is asked for)",
                    "ask for min_isolation <= 1, or take another backend",
                )
            ),
        ),
    ],
)
async def test_a_sandbox_that_is_not_to_be_had_is_refused_with_what_to_do(spec: Spec, message: tuple[str, str]) -> None:
    with pytest.raises(SandboxError) as refused:
        await open_sandbox(spec, (Monty(),))

    assert (str(refused.value), refused.value.fix) == message
