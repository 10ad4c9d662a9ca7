"""Turns that were right and turns that were wrong, for TRL's `KTOTrainer`.

    {"prompt": [messages], "completion": [message], "label": true, "tools": "[{...}]"}

The two turns of each of `dpo`'s pairs, a row each and each once; what is lost and what is not written is the same.
"""

import json
from collections.abc import Iterable, Iterator

from journeyman.traces.export.pairs import candidate, pairs

lines = candidate


def gathered(candidates: Iterable[str]) -> Iterator[str]:
    written: set[str] = set()
    for pair in pairs(candidates):
        for turn, label in ((pair.chosen, True), (pair.rejected, False)):
            row = {"prompt": pair.prompt, "completion": [turn], "label": label, "tools": pair.tools}
            line = json.dumps(row, ensure_ascii=False)
            if line not in written:
                written.add(line)
                yield line
