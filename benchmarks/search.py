"""Full-text search over 100,000 pieces: natural-language questions, with SQLite's FTS5 and with tantivy.

The texts are made up: words as frequent as words are (Zipf), so that a question's common ones stand in a tenth of all
pieces. Beside each figure, what a plain scan of the same files costs.
"""

import random
import re
import tempfile
import time
from itertools import accumulate
from pathlib import Path
from statistics import median, quantiles

from journeyman.mcp_servers.search.index import Index
from journeyman.sandbox.paths import Root

FILES, PIECES, WORDS = 2000, 50, 40
VOCABULARY = 20_000
ASKED = 60


def word(rank: int) -> str:
    """Pronounceable, different for each rank."""
    letters, rank = "", rank + 37
    while rank:
        letters += "bdfgklmnprstvz"[rank % 14] + "aeiou"[rank // 14 % 5]
        rank //= 70

    return letters + "n" * (len(letters) < 5)


def write(folder: Path, seed: int = 7) -> list[str]:
    """The corpus; what is asked of it is returned."""
    draw = random.Random(seed)  # noqa: S311 - a corpus needs no secrecy
    ranks = range(VOCABULARY)
    weights = list(accumulate(1 / (rank + 10) for rank in ranks))
    known = [word(rank) for rank in ranks]
    for number in range(FILES):
        pieces = (" ".join(draw.choices(known, cum_weights=weights, k=WORDS)) for _ in range(PIECES))
        (folder / f"{number:04}.md").write_text("\n\n".join(pieces) + "\n")

    return [
        f"What is the {' of '.join(draw.choices(known, cum_weights=weights, k=draw.randint(2, 5)))}?"
        for _ in range(ASKED)
    ]


def timed(index: Index, questions: list[str]) -> tuple[float, list[float]]:
    """CPU seconds of the first search, which builds the index; milliseconds of each one."""
    started = time.process_time()
    index.search(questions[0])
    built = time.process_time() - started
    took = []
    for question in questions:
        started = time.thread_time()
        index.search(question)
        took.append((time.thread_time() - started) * 1e3)

    return built, took


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        questions = write(folder)
        for backend in ("fts5", "tantivy"):
            index = Index(Root(folder), backend=backend)
            built, took = timed(index, questions)
            tail = quantiles(took, n=20)[-1]
            speed = f"p50 {median(took):6.1f} ms  p95 {tail:6.1f} ms  built in {built:.1f} CPU-s"
            print(f"search, {FILES * PIECES:,} pieces, {backend:8} {speed}")
            index.close()

        started = time.process_time()
        wanted = re.compile(re.escape(questions[0].split()[-1].strip("?")).encode())
        sum(len(wanted.findall(path.read_bytes())) for path in folder.iterdir())
        print(f"search, one word by a plain scan           {(time.process_time() - started) * 1e3:6.1f} ms")


if __name__ == "__main__":
    main()
