"""Segments of a conversation to token ids, by the engine's own tokeniser."""

import re
from collections.abc import Sequence

from journeyman.agent.models.renderer import Segment, joined
from journeyman.agent.models.wire import Wire


class Tokeniser:
    """Special tokens are recognised in control segments only: what a person, a tool or a file says stays text.

    `guarded` are marks that the engine would recognise everywhere; in text they are cut in two.
    """

    guarded: tuple[str, ...] = ()

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._control: dict[str, list[int]] = {}

    async def __call__(self, segments: Sequence[Segment], start: bool) -> list[int]:
        """The ids of `segments`, neighbours of one kind joined.

        start: a sequence begins here, where the model may want a token of its own.
        """
        ids: list[int] = []
        for n, (text, control) in enumerate(joined(segments)):
            ids += await self._ids(text, control=control, first=start and not n)

        return ids

    async def _ids(self, text: str, *, control: bool, first: bool) -> list[int]:
        if known := self._control.get(text) if control and not first else None:
            return known

        content = text if control else self._cut(text)
        body = {"content": content, "add_special": first, "parse_special": control}
        ids = (await self._wire.post("/tokenize", body))["tokens"]
        if control and not first:
            self._control[text] = ids

        return ids

    def _cut(self, text: str) -> list[str]:
        edges = [0]
        if self.guarded:
            edges += [found.start() + 1 for found in re.finditer("|".join(map(re.escape, self.guarded)), text)]

        return [text[start:end] for start, end in zip(edges, [*edges[1:], None], strict=True)]
