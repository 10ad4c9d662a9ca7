"""Which line of a found piece is shown, and how much of it."""

from dataclasses import dataclass

OPEN, CLOSE = "\x02", "\x03"
"""Around each matched word, as the database marks them; control characters that hardly a text has of its own."""
LONGEST = 240


@dataclass(frozen=True, slots=True)
class Hit:
    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def hit(path: str, numbers: str, marked: str) -> Hit:
    """The line with the most different words of the query; of equals the first.

    A heading is not shown for itself but, in parentheses, behind the line below it, if it has more of those words.
    """
    lines = list(zip(numbers.split(" "), marked.split("\n"), strict=True))
    body = [(int(number), text) for number, text in lines if not number.endswith("h")]
    headings = [(int(number.removesuffix("h")), text) for number, text in lines if number.endswith("h")]
    if not body:
        number, text = max(headings, key=lambda line: len(_matches(line[1])))
        return Hit(path, number, _shortened(text))

    number, text = max(body, key=lambda line: len(_matches(line[1])))
    best = max((heading for _, heading in headings), key=lambda heading: len(_matches(heading)), default="")
    shown = _shortened(text)
    if len(_matches(best)) > len(_matches(text)):
        shown = f"{shown} ({_shortened(best.strip('#| '))})"

    return Hit(path, number, shown)


def _matches(text: str) -> set[str]:
    """The words of the query in it."""
    return {piece.split(CLOSE, 1)[0].lower() for piece in text.split(OPEN)[1:]}


def _shortened(marked: str) -> str:
    """The line without marks; of a long one the part around the first match."""
    first = max(marked.find(OPEN), 0)
    text = marked.replace(OPEN, "").replace(CLOSE, "")
    if len(text) <= LONGEST:
        return text

    start = max(0, min(first - LONGEST // 4, len(text) - LONGEST))
    end = start + LONGEST
    return f"{'...' if start else ''}{text[start:end]}{'...' if end < len(text) else ''}"
