"""From conversations to the token ids the runtime would have seen, several dialogues behind one system turn.

The system turn with its tool list is most of a short dialogue's tokens. Dialogues that are offered the same tools
therefore share it: they lie one after the other in one sequence, each starts at the position after the system turn,
and the attention mask lets it see that turn and itself, nothing of its neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from journeyman.agent.models.families import CHATML
from journeyman.agent.models.renderer import joined
from journeyman.traces.messages import Message, ToolSpec

if TYPE_CHECKING:
    import torch

Tokenise = Any
"""(text, control) -> ids; special tokens are recognised in control text only."""


@dataclass(frozen=True, slots=True)
class Pack:
    """One training sequence of n tokens."""

    ids: list[int]
    positions: list[int]
    segment: list[int]
    """0 for the system turn, else the number of the dialogue."""
    learnt: list[bool]
    """Written by the assistant: a target of the loss."""

    def mask(self) -> "torch.Tensor":
        """(1, 1, n, n) bool: may the row's token see the column's."""
        import torch

        segment = torch.tensor(self.segment)
        shared = (segment[None, :] == 0) | (segment[None, :] == segment[:, None])
        return (shared & torch.ones(len(segment), len(segment), dtype=torch.bool).tril())[None, None]


class Tokeniser:
    """The model's own tokenizer, read from its GGUF; ids equal those of the engine."""

    def __init__(self, gguf: Path) -> None:
        from transformers import AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)

    def __call__(self, text: str, *, control: bool) -> list[int]:
        if not text:
            return []

        return self._tokenizer(text, add_special_tokens=False, split_special_tokens=not control).input_ids


def pack(
    tokenise: Tokenise, instructions: str, tools: Sequence[ToolSpec], dialogues: Sequence[Sequence[Message]]
) -> Pack:
    """One system turn and the dialogues behind it."""
    opening = CHATML.opening(instructions, tools)
    shared = [token for segment in opening for token in tokenise(segment.text, control=segment.control)]
    size = len(shared)
    out = Pack(ids=list(shared), positions=list(range(size)), segment=[0] * size, learnt=[False] * size)
    for number, messages in enumerate(dialogues, 1):
        ids, learnt = encode(tokenise, messages)
        out.ids.extend(ids)
        out.learnt.extend(learnt)
        out.positions.extend(range(size, size + len(ids)))
        out.segment.extend([number] * len(ids))

    return out


def encode(tokenise: Tokenise, messages: Sequence[Message]) -> tuple[list[int], list[bool]]:
    """Ids of one dialogue after the system turn, and which of them the assistant wrote."""
    ids: list[int] = []
    learnt: list[bool] = []

    def add(text: str, *, control: bool, learn: bool = False) -> None:
        new = tokenise(text, control=control)
        ids.extend(new)
        learnt.extend([learn] * len(new))

    for index, message in enumerate(messages):
        if message.type == "assistant":
            add(CHATML.assistant, control=True)
            for segment in joined(CHATML.completion(message)):
                add(segment.text, control=segment.control, learn=True)

            add(CHATML.end, control=True, learn=True)
            continue

        if index:
            add(CHATML.after, control=True)

        for segment in CHATML.turn(message):
            add(segment.text, control=segment.control)

    return ids, learnt
