"""What `.gitignore` files say is not worth looking at, as git reads them (gitignore(5)).

A folder is asked about before what is in it, so that a rule without a slash has only a name to match. Rules come with
other people's folders: none may take long, so names are matched without going back, and few `**` are taken in one.
"""

import re
from fnmatch import translate
from typing import NamedTuple

FILE = ".gitignore"
LARGEST = 100_000
"""Bytes of one file that are read."""
LONGEST = 500
"""Characters of a rule, and `**` in it; what has more is no rule."""
DEEPEST = 3
_SPACES = re.compile(r"(?<!\\) +$")
_ESCAPED = re.compile(r"\\(.)")


class _Rule(NamedTuple):
    ignores: bool
    folders: bool
    """It is about folders only."""
    parts: tuple[re.Pattern[str] | None, ...]
    """None is `**`. Of a rule for names there is one."""
    anywhere: bool


class Ignored:
    """The rules of one folder and those below it; each is added before its entries are asked about."""

    def __init__(self) -> None:
        self._rules: dict[str, list[_Rule]] = {}

    def add(self, folder: str, text: str) -> None:
        """The rules of a folder, `""` for the uppermost one."""
        rules = [rule for line in text.split("\n") if (rule := _rule(line)) is not None]
        if rules:
            self._rules[folder] = rules[::-1]

    def __call__(self, path: str, *, folder: bool) -> bool:
        """Whether it is ignored; the deepest `.gitignore` with a word on it decides."""
        parts = path.split("/")
        for depth in range(len(parts) - 1, -1, -1):
            for rule in self._rules.get("/".join(parts[:depth]), ()) if self._rules else ():
                if (folder or not rule.folders) and _fits(rule, parts[depth:]):
                    return rule.ignores

        return False


def _fits(rule: _Rule, parts: list[str]) -> bool:
    if rule.anywhere:
        name = rule.parts[0]
        return name is not None and name.match(parts[-1]) is not None

    return _match(rule.parts, parts)


def _match(rule: tuple[re.Pattern[str] | None, ...], parts: list[str]) -> bool:
    if not rule or not parts:
        return not rule and not parts

    if rule[0] is None:
        return len(rule) == 1 or any(_match(rule[1:], parts[skip:]) for skip in range(len(parts)))

    return rule[0].match(parts[0]) is not None and _match(rule[1:], parts[1:])


def _rule(line: str) -> _Rule | None:
    line = _SPACES.sub("", line.removesuffix("\r"))
    if not line or line.startswith("#"):
        return None

    ignores = not line.startswith("!")
    line = line if ignores else line[1:]
    folders = line.endswith("/")
    line = line.removesuffix("/")
    names = line.removeprefix("/").split("/")
    if not all(names) or names.count("**") > DEEPEST or len(line) > LONGEST:
        return None

    parts = tuple(None if name == "**" and "/" in line else _name(name) for name in names)
    return _Rule(ignores, folders, parts, "/" not in line)


def _name(pattern: str) -> re.Pattern[str]:
    plain = _ESCAPED.sub(lambda found: f"[{found[1]}]" if found[1] in "*?[" else found[1], pattern.replace("[^", "[!"))
    return re.compile(translate(plain))
