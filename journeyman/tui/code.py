"""Source code in colour, line by line; pygments is imported when there is code to show."""

from functools import lru_cache
from typing import Any

from journeyman.tui.line import Line

LONGEST = 60_000
"""Characters of one piece of code that are coloured; longer ones are shown plain."""

ROLES = (
    ("Comment", "code-comment"),
    ("Keyword", "code-keyword"),
    ("Literal.String", "code-string"),
    ("Literal.Number", "code-number"),
    ("Name.Function", "code-name"),
    ("Name.Class", "code-name"),
    ("Name.Decorator", "code-name"),
    ("Name.Tag", "code-keyword"),
    ("Name.Attribute", "code-name"),
    ("Name.Builtin", "code-name"),
    ("Operator.Word", "code-keyword"),
    ("Generic.Inserted", "added"),
    ("Generic.Deleted", "removed"),
    ("Generic.Heading", "bold"),
)


@lru_cache(64)
def _lexer(language: str, path: str) -> Any:
    from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
    from pygments.util import ClassNotFound

    options = {"stripnl": False, "ensurenl": False, "stripall": False}
    try:
        return get_lexer_by_name(language, **options) if language else get_lexer_for_filename(path, **options)
    except ClassNotFound:
        return None


@lru_cache(512)
def _role(kind: str) -> str:
    return next((role for name, role in ROLES if kind.startswith(name)), "code")


@lru_cache(256)
def highlight(text: str, language: str = "", path: str = "") -> tuple[Line, ...]:
    """The lines of a text; plain where nobody knows the language."""
    lexer = _lexer(language, path) if (language or path) and len(text) <= LONGEST else None
    if lexer is None:
        return tuple(((line, "code"),) if line else () for line in text.split("\n"))

    lines: list[list[tuple[str, str]]] = [[]]
    for kind, value in lexer.get_tokens(text):
        role = _role(str(kind)[6:])
        first, *rest = value.split("\n")
        if first:
            lines[-1].append((first, role))

        lines += ([(part, role)] if part else [] for part in rest)

    return tuple(map(tuple, lines))
