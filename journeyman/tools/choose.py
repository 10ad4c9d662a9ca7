"""Which tools a prompt is about: plain word overlap, the same answer each time, no model.

A small model offered three fitting tools does better than one offered ten. Words that few tools share count more; a
prompt that has digits and an operator in it, or a file's name, says so without a word.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

from journeyman.traces.messages import ToolSpec

HINTS = {
    "calculator": "calculate compute arithmetic plus minus times divide multiply add subtract sum product percent"
    " average total difference square squared root cost price how much many number",
    "code": "python code script program function snippet run execute print loop",
    "files": "file folder directory path line word byte size content text list",
    "search": "search find look where who which what when document note markdown mention about",
    "files.write": "write create save new",
    "files.edit": "edit change replace fix rename correct",
    "files.info": "many line word byte size long count",
    "files.list": "list folder directory file there",
    "files.read": "read show open value say content port config setting",
}
"""What people say when they mean our own servers or tools, and their short descriptions do not."""

ARITHMETIC = re.compile(r"\d\s*[-+*/^×÷%]\s*\(?\d|\d\s*(plus|minus|times|divided|x)\s*\d")  # noqa: RUF001
FILE_NAME = re.compile(r"\b[\w-]+\.[a-z]{1,4}\b", re.IGNORECASE)
SHAPES = ((ARITHMETIC, "calculator"), (FILE_NAME, "files"))


def ranked(prompt: str, specs: Sequence[ToolSpec]) -> list[str]:
    """Names of the tools, most relevant first; where nothing tells them apart, in their own order."""
    asked = set(_words(prompt))
    known = [_about(spec) for spec in specs]
    frequency = Counter(word for words in known for word in set(words))
    rarity = {word: math.log(1 + len(specs) / count) for word, count in frequency.items()}
    pointed = {server for shape, server in SHAPES if shape.search(prompt)}

    def score(index: int) -> float:
        overlap = sum(rarity[word] * weight for word, weight in known[index].items() if word in asked)
        return overlap + (3.0 if specs[index].server in pointed else 0.0)

    order = sorted(range(len(specs)), key=lambda index: (-score(index), index))
    return [specs[index].name for index in order]


def _about(spec: ToolSpec) -> dict[str, float]:
    """Words of a tool and what each weighs: its name most, then what people call it, its arguments least."""
    words: dict[str, float] = {}
    properties = spec.parameters.get("properties") or {}
    for text, weight in (
        (" ".join(properties), 0.5),
        (HINTS.get(spec.server, ""), 0.7),
        (spec.description, 1.0),
        (HINTS.get(spec.identity, ""), 1.0),
        (f"{spec.server if spec.server != 'python' else ''} {spec.tool}", 1.5),
    ):
        words |= dict.fromkeys(_words(text), weight)

    return words


def _words(text: str) -> list[str]:
    text = re.sub(r"([a-z])([A-Z])", r"\1 \2", text)
    return [_stem(word) for word in re.findall(r"[^\W\d_]{2,}", text.lower())]


def _stem(word: str) -> str:
    """Enough for `files` to meet `file` and `calculating` to meet `calculate`."""
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:  # noqa: PLR2004 - what is left of a word
            return word.removesuffix(ending)

    return word
