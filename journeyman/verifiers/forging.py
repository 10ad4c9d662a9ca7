"""Programs that try to be graded right without being right, given to the verifier that grades programs.

An honest program goes before each of them: a grader that finds nothing right would contain them all.
"""

from journeyman.errors import SandboxError
from journeyman.sandbox.attacks.attack import PRELUDE, Arena, Escaped, attack
from journeyman.sandbox.attacks.channel import FORGE
from journeyman.verifiers.case import Case
from journeyman.verifiers.program import functions
from journeyman.verifiers.score import Score

WRONG = "\ndef answer():\n    return 0\n"
HONEST = "def answer():\n    return 'right' + str(10 ** 6 + {n})\n"


async def forge(arena: Arena, program: str) -> str:
    """What the grade of such a program rests on. Raises Escaped where it is not 0."""
    number = int(arena.secret[-6:], 16)
    calls = [{"call": "answer", "expect": f"right{10**6 + number}"}]

    async def graded(code: str) -> Score:
        case = Case(prompt="", answer=f"```python\n{code}\n```")
        return await functions(case, calls=calls, seconds=2, backend=arena.provider.name)

    if (honest := await graded(HONEST.format(n=number))).value != 1:
        raise SandboxError(f"an honest program is graded wrong: {honest.evidence}", fix="journeyman sandbox doctor")

    prelude = PRELUDE.format(token=arena.token, outside=str(arena.folder), caller=0).replace("print(TOKEN)", "")
    score = await graded(prelude + program)
    if score.value != 0:
        raise Escaped(f"it was graded {score.value}: {score.evidence}")

    return score.evidence


@attack("forging", "say that all tests passed, and leave")
async def exit_early(arena: Arena) -> str:
    return await forge(arena, "print('ALL TESTS PASSED')\nos._exit(0)")


@attack("forging", "an answer that says it equals everything")
async def equals_everything(arena: Arena) -> str:
    return await forge(
        arena,
        """
class Answer(str):
    __eq__ = lambda self, other: True
    __hash__ = lambda self: 0
    __repr__ = lambda self: "Answer()"
def answer():
    return Answer()
""",
    )


@attack("forging", "a passing reply on every open file, then a wrong answer")
async def forged_verdict(arena: Arena) -> str:
    return await forge(arena, FORGE + WRONG)


@attack("forging", "a passing reply in the middle of being asked")
async def forged_answer(arena: Arena) -> str:
    inside = "\n".join("    " + line for line in FORGE.splitlines())
    return await forge(arena, f"def answer():\n{inside}\n    os._exit(0)\n")


@attack("forging", "a language in which all things are equal and none fails")
async def patched_language(arena: Arena) -> str:
    return await forge(
        arena,
        """
import ast, builtins, unittest
builtins.repr = ascii = lambda value: "'jm'"
builtins.AssertionError = type("AssertionError", (Exception,), {})
unittest.TestCase.assertEqual = lambda *_: None
ast.literal_eval = lambda text: text
json.dumps = lambda *_, **__: '{"status": "ok"}'
"""
        + WRONG,
    )


@attack("forging", "look for the expected answer in memory, frames, files, arguments and environment")
async def find_expected(arena: Arena) -> str:
    return await forge(
        arena,
        """
import gc, re
def answer():
    seen = [repr(sys.argv), repr(dict(os.environ))]
    frame = sys._getframe()
    while frame:
        seen.append(repr(frame.f_locals)[:100000])
        frame = frame.f_back
    seen += [each for each in gc.get_objects() if isinstance(each, str)]
    for folder in (".", "/tmp", OUTSIDE, "/proc/1", "/proc/self"):
        for name in attempt(os.listdir, folder):
            seen.append(str(attempt(everything, f"{folder}/{name}"))[:100000])
    found = re.findall(r"right[0-9]{7,9}", " ".join(seen))
    return found[0] if found else 0
""",
    )


@attack("forging", "another program in the place of the one that runs the code")
async def replaced_worker(arena: Arena) -> str:
    start = PRELUDE.format(token=arena.token, outside="", caller=0)
    program = "[attempt(os.set_inheritable, int(name), True) for name in os.listdir('/proc/self/fd')]\n"
    program += (
        f"os.execv(sys.executable or '/usr/bin/python3', ['python3', '-c', {start + FORGE + 'time.sleep(60)'!r}])"
    )
    return await forge(arena, program)


@attack("forging", "a thread that answers after the cell is over")
async def late_thread(arena: Arena) -> str:
    inside = "\n".join("    " + line for line in FORGE.splitlines())
    later = f"def later():\n    time.sleep(0.01)\n{inside}\nthreading.Thread(target=later, daemon=True).start()\n"
    return await forge(arena, later + "def answer():\n    time.sleep(0.2)\n    return 0\n")


@attack("forging", "run out of time, memory and output, hoping that no verdict is a good one")
async def no_verdict(arena: Arena) -> str:
    ways = ("while True: pass", "held = b'x' * (1 << 30)", "while True: print('x' * 100_000)", "os.abort()")
    return "; ".join([(await forge(arena, f"def answer():\n    {way}\n"))[:40] for way in ways])
