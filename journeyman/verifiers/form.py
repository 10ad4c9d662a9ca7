"""The form of an answer, whatever it says: a template, a length, a language. Small weights: a form is easily learnt."""

import re
import unicodedata
from collections import Counter

from journeyman.verifiers.case import Case
from journeyman.verifiers.check import verifier
from journeyman.verifiers.score import Score, short


@verifier("format/1")
def template(case: Case, *, answer: str = "", thoughts: str = "") -> Score:
    r"""Regular expressions that the whole answer and the whole thought must match (`(?s).*\\boxed\{.+\}.*`).

    `thoughts=".+"` asks that the model thought at all, which is R1's format reward where thinking is parsed apart.
    """
    if answer and not re.fullmatch(answer, case.answer or "", re.DOTALL):
        return Score.of(0, f"{short(case.answer or '')} does not match {answer}")

    if thoughts and not re.fullmatch(thoughts, case.thoughts, re.DOTALL):
        return Score.of(0, f"the thoughts {short(case.thoughts)} do not match {thoughts}")

    return Score.of(1, "matches")


@verifier("length/1")
def length(case: Case, *, most: int, slack: int = 0) -> Score:
    """1 up to `most` tokens written in all, falling to 0 over the next `slack` (DAPO's soft overlong punishment)."""
    over = case.tokens - most
    value = 1.0 if over <= 0 else max(0.0, 1 - over / slack) if slack else 0.0
    return Score.of(value, f"{case.tokens} tokens, at most {most}")


@verifier("language/1")
def language(case: Case, *, script: str = "") -> Score:
    """Share of the letters, thoughts included, in one script: the question's own, or the one that is named (LATIN).

    Scripts, not languages: it finds the mixing that reinforcement learning brings (Chinese in English thoughts), and
    not English in French ones.
    """
    said = _scripts(f"{case.thoughts}\n{case.answer}")
    asked = _scripts(case.prompt)
    wanted = script.upper() or (asked.most_common(1)[0][0] if asked else "")
    if not said or not wanted:
        return Score.missing("no letters")

    share = said[wanted] / said.total()
    return Score.of(share, f"{share:.0%} of {said.total()} letters are {wanted}")


def _scripts(text: str) -> Counter[str]:
    """Letters by the first word of their Unicode name, which is the script's."""
    counted = Counter(letter for letter in text if letter.isalpha())
    scripts: Counter[str] = Counter()
    for letter, n in counted.items():
        scripts[unicodedata.name(letter, "?").split()[0]] += n

    return scripts
