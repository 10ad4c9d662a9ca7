"""Log-probabilities of drawn tokens, with what several sequences have in common read once.

Attempts at one task share its system turn and question, dialogues with the same tools their system turn: most of a
short run's tokens. So a batch is one long row: the common beginning, then each sequence's rest, each at the positions
that follow the beginning, under a mask that lets it see the beginning and itself. The result is that of reading them
apart. The vocabulary's logits are made for the targets alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

CHUNK = 512
"""Targets whose logits exist at once."""


@dataclass(frozen=True, slots=True)
class Together:
    """Sequences as one row."""

    ids: "torch.Tensor"
    """(1, n)"""
    positions: "torch.Tensor"
    """(1, n)"""
    segment: "torch.Tensor"
    """(n,): 0 for the common beginning, else the number of the sequence."""
    places: list["torch.Tensor"]
    """Of each sequence, where its tokens are in the row."""

    @property
    def mask(self) -> "torch.Tensor":
        """(1, 1, n, n) bool: may the row's token see the column's."""
        one = self.segment[None, :]
        shared = (one == 0) | (one == self.segment[:, None])
        return shared.tril()[None, None]


def together(sequences: Sequence[Sequence[int]], device: str = "cpu") -> Together:
    """Lay sequences into one row."""
    import torch

    common = _common(sequences)
    ids, positions, segment = list(sequences[0][:common]), list(range(common)), [0] * common
    places = []
    for number, sequence in enumerate(sequences, 1):
        begin, rest = len(ids), len(sequence) - common
        places.append(torch.tensor([*range(common), *range(begin, begin + rest)], device=device))
        ids += sequence[common:]
        positions += range(common, len(sequence))
        segment += [number] * rest

    row = (torch.tensor(each, device=device) for each in (ids, positions, segment))
    one, two, three = row
    return Together(one[None], two[None], three, places)


def _common(sequences: Sequence[Sequence[int]]) -> int:
    """How many tokens all begin with; a single sequence is all beginning."""
    first, last = min(map(list, sequences)), max(map(list, sequences))
    return next((n for n, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))


def can_share(config: Any) -> bool:
    """Does every layer see everything before it; else each sequence is read alone."""
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    sliding = getattr(text, "sliding_window", None) and getattr(text, "use_sliding_window", True)
    return kinds == {"full_attention"} and not sliding


def logprobs(
    model: Any, sequences: Sequence[Sequence[int]], targets: Sequence[Sequence[bool | int]]
) -> tuple[list["torch.Tensor"], list["torch.Tensor"]]:
    """Of each sequence, the log-probabilities of its targets in nats, and the entropies where they were drawn.

    The first token of a sequence cannot be a target.
    """
    import torch

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if len(sequences) > 1 and not can_share(inner.config):
        apart = [logprobs(model, [one], [which]) for one, which in zip(sequences, targets, strict=True)]
        return [values[0] for values, _ in apart], [entropies[0] for _, entropies in apart]

    device = inner.get_output_embeddings().weight.device
    row = together(sequences, device)
    mask = None if len(sequences) == 1 else row.mask
    hidden = inner.base_model(
        input_ids=row.ids, attention_mask=mask, position_ids=row.positions, use_cache=False
    ).last_hidden_state[0]
    which = [torch.tensor(one, dtype=torch.bool, device=device).nonzero()[:, 0] for one in targets]
    before = torch.cat([places[at - 1] for places, at in zip(row.places, which, strict=True)])
    drawn = torch.cat([row.ids[0, places[at]] for places, at in zip(row.places, which, strict=True)])
    values, entropies = _scored(inner.get_output_embeddings(), hidden[before], drawn)
    sizes = [len(at) for at in which]
    return list(values.split(sizes)), list(entropies.split(sizes))


def _scored(head: Any, hidden: "torch.Tensor", drawn: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
    import torch

    values, entropies = [hidden.new_zeros(0, dtype=torch.float32)], [hidden.new_zeros(0, dtype=torch.float32)]
    for part, ids in zip(hidden.split(CHUNK), drawn.split(CHUNK), strict=True):
        every = torch.log_softmax(head(part).float(), dim=-1)
        values.append(every.gather(1, ids[:, None])[:, 0])
        with torch.no_grad():
            entropies.append(-(every.exp() * every).sum(-1))

    return torch.cat(values), torch.cat(entropies)
