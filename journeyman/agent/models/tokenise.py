"""Segments of a conversation to token ids, by the engine's own tokeniser."""

from collections.abc import Sequence
from itertools import groupby

from journeyman.agent.models.chatml import Segment
from journeyman.agent.models.wire import Wire


class Tokeniser:
    """Special tokens are recognised in control segments only: what a person, a tool or a file says stays text."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._control: dict[str, list[int]] = {}

    async def __call__(self, segments: Sequence[Segment], start: bool) -> list[int]:
        """The ids of `segments`, neighbours of one kind joined.

        start: a sequence begins here, where the model may want a token of its own.
        """
        ids: list[int] = []
        for control, group in groupby(segments, key=lambda segment: segment.control):
            text = "".join(segment.text for segment in group)
            ids += await self._ids(text, control=control, first=start and not ids)

        return ids

    async def _ids(self, text: str, *, control: bool, first: bool) -> list[int]:
        if not text:
            return []

        if known := self._control.get(text) if control and not first else None:
            return known

        body = {"content": text, "add_special": first, "parse_special": control}
        ids = (await self._wire.post("/tokenize", body))["tokens"]
        if control and not first:
            self._control[text] = ids

        return ids
