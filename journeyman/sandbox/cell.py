"""A piece of Python as a notebook runs it: the last expression's value is kept in `_` and shown by its repr.

The code is looked at but never run here. The value stays in the sandbox: one large enough to hurt would hurt there.
"""

import ast
import re
from dataclasses import dataclass

KEEP = "_ = ("
MAX_PARSED = 100_000
_NEWLINE = re.compile(r"\r\n|\r")
_ESCAPE = re.compile(r"\\([^\n])")


@dataclass(frozen=True, slots=True)
class Cell:
    source: str
    """What the sandbox runs; it never yields a value by itself."""
    has_value: bool
    """Whether it leaves a value in `_`."""
    lines: int = 0
    """How many its author wrote; what follows is ours."""
    kept_line: int = 0
    """The line that begins with `KEEP` although its author did not write it, counted from 1."""

    def as_written(self, line: int, text: str) -> str:
        """A line of the source as its author knows it."""
        return text.replace(KEEP, "", 1) if line == self.kept_line else text


def cell(code: str) -> Cell:
    code = _NEWLINE.sub("\n", code)
    last = _last_expression(code)
    if last is None:
        return Cell(f"{code}\nNone", has_value=False, lines=code.count("\n") + 1)

    start = _offset(code, last.lineno, last.col_offset)
    end = _offset(code, last.end_lineno or 0, last.end_col_offset or 0)
    source = f"{code[:start]}{KEEP}{code[start:end]}\n)\nNone"
    return Cell(source, has_value=True, lines=code.count("\n") + 1, kept_line=last.lineno)


def _last_expression(code: str) -> ast.Expr | None:
    """Where it is; None where there is none, or where only the sandbox can say what is wrong with the code."""
    if len(code) > MAX_PARSED:
        return None

    try:
        # Escapes are blanked, length kept: none matters here, and a wrong one would make the parser warn on stderr.
        body = ast.parse(_ESCAPE.sub(_blank, code)).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None

    return body[-1] if body and isinstance(body[-1], ast.Expr) else None


def _offset(code: str, line: int, column: int) -> int:
    """Place in the text of a parser's line (from 1) and column (in UTF-8 bytes)."""
    start = 0
    for _ in range(line - 1):
        start = code.index("\n", start) + 1

    end = code.find("\n", start)
    text = code[start:] if end < 0 else code[start:end]
    return start + len(text.encode()[:column].decode())


def _blank(escape: re.Match[str]) -> str:
    return f"x{'x' if escape[1].isascii() else escape[1]}"
