"""Is the answer the expected one as mathematics: LaTeX, fractions, sets, equations. By the math-verify library.

math-verify parses without end on some inputs and knows timeouts only in a main thread: so it is run where a whole
process can be stopped (`desk.py`), with its own timeouts off.
"""

import logging

from journeyman.errors import ConfigError, install
from journeyman.verifiers.case import Case
from journeyman.verifiers.check import verifier
from journeyman.verifiers.score import Score, short

try:  # here, so that it is there before a process is forked for a job; it brings SymPy
    from math_verify import parse, verify
except ImportError:
    raise ConfigError("math-verify is not installed", fix=install("journeyman[tasks]")) from None

logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that it has no timeout


@verifier("math/1")
def maths(case: Case, *, expected: str) -> Score:
    """Both parse, and are equal; of several expressions in an answer the boxed or the last one counts."""
    gold = parse(_latex(expected), parsing_timeout=0)
    if not gold:
        raise ValueError(f"{expected!r} is no mathematics")

    found = parse(case.answer or "", parsing_timeout=0)
    right = bool(found) and verify(gold, found, timeout_seconds=0)
    return Score.of(right, f"{short(case.answer or '')} against {short(expected)}")


def _latex(expected: str) -> str:
    """The expected answer is only mathematics, whatever it looks like."""
    return expected if "$" in expected or "\\boxed" in expected else f"$\\boxed{{{expected}}}$"
