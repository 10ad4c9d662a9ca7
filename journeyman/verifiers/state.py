"""Are the files as they must be afterwards: what the run says it did does not count, what is there does."""

import re

from journeyman.verifiers.case import Case
from journeyman.verifiers.check import verifier
from journeyman.verifiers.score import Score, short


@verifier("files/1", answer=False)
def files(
    case: Case,
    *,
    equal: dict[str, str] | None = None,
    contain: dict[str, str] | None = None,
    match: dict[str, str] | None = None,
    absent: list[str] | None = None,
) -> Score:
    """Each named file is there with this text, contains it, or matches the pattern; the absent ones are not there.

    Args:
        case: the run.
        equal: path -> its whole text.
        contain: path -> a part of its text.
        match: path -> regular expression that is searched for.
        absent: paths that must not exist.
    """
    for path, text in (equal or {}).items():
        if case.files.get(path) != text:
            return Score.of(0, f"{path} holds {_shown(case, path)}, not {short(text)}")

    for path, text in (contain or {}).items():
        if text not in (case.files.get(path) or ""):
            return Score.of(0, f"{path} holds {_shown(case, path)} without {short(text)}")

    for path, pattern in (match or {}).items():
        if not re.search(pattern, case.files.get(path) or "", re.MULTILINE):
            return Score.of(0, f"{path} holds {_shown(case, path)}, which does not match {pattern}")

    for path in absent or ():
        if path in case.files:
            return Score.of(0, f"{path} is there")

    return Score.of(1, "the files are as they must be")


def _shown(case: Case, path: str) -> str:
    text = case.files.get(path, "")
    return "no text" if text is None else short(text) if path in case.files else "nothing: there is no such file"
