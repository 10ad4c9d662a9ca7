"""Log-probabilities of drawn tokens, with what several sequences have in common read once.

Attempts at one task share its system turn and question, dialogues with the same tools their system turn: most of a
short run's tokens. So a batch is one long row: the common beginning, then each sequence's rest, each at the positions
that follow the beginning, seeing the beginning and itself. The result is that of reading them apart. The vocabulary's
logits are made for the targets alone.
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
    common: int
    """Tokens that all begin with."""
    rests: list[int]
    """Of each sequence, tokens after those."""
    places: list["torch.Tensor"]
    """Of each sequence, where its tokens are in the row."""


def together(sequences: Sequence[Sequence[int]], device: str = "cpu") -> Together:
    """Lay sequences into one row."""
    import torch

    common = common_length(sequences)
    rests = [len(sequence) - common for sequence in sequences]
    ids, positions, places = list(sequences[0][:common]), list(range(common)), []
    for sequence, rest in zip(sequences, rests, strict=True):
        places.append(torch.tensor([*range(common), *range(len(ids), len(ids) + rest)], device=device))
        ids += sequence[common:]
        positions += range(common, len(sequence))

    one, two = (torch.tensor([row], device=device) for row in (ids, positions))
    return Together(one, two, common, rests, places)


def common_length(sequences: Sequence[Sequence[int]]) -> int:
    """How many tokens all begin with; a single sequence is all beginning."""
    first, last = min(map(list, sequences)), max(map(list, sequences))
    return next((n for n, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))


def attend(
    module: Any, query: "torch.Tensor", key: "torch.Tensor", value: "torch.Tensor", *args: Any, **more: Any
) -> Any:
    """Attention over a row: each rest with the beginning and itself, nothing that a mask would throw away again.

    Half of a step's time goes into attention over a row of 1,500 tokens under a mask, a third with this. transformers
    calls it, as `attn_implementation="shared"`; without `rests` it is `sdpa`.
    """
    import torch
    from torch.nn.functional import scaled_dot_product_attention as attention
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    rests, common = more.pop("rests", None), more.pop("common", 0)
    if rests is None:
        return sdpa_attention_forward(module, query, key, value, *args, **more)

    heads, scale = query.shape[1] // key.shape[1], more.get("scaling")
    key, value = (one.repeat_interleave(heads, dim=1) for one in (key, value))
    first, *others = (one.split([common, *rests], dim=2) for one in (query, key, value))
    found = [attention(first[0], others[0][0], others[1][0], scale=scale, is_causal=True)]
    for asked, keys, values in zip(first[1:], others[0][1:], others[1][1:], strict=True):
        seen = [torch.cat(pair, dim=2) for pair in ((others[0][0], keys), (others[1][0], values))]
        mask = query.new_ones(asked.shape[2], seen[0].shape[2], dtype=torch.bool).tril(common)
        found.append(attention(asked, *seen, attn_mask=mask, scale=scale))

    return torch.cat(found, dim=2).transpose(1, 2).contiguous(), None


def length(sequences: Sequence[Sequence[int]]) -> int:
    """Tokens of the row that they make."""
    common = common_length(sequences)
    return common + sum(len(sequence) - common for sequence in sequences)


def can_share(config: Any) -> bool:
    """Does every layer see everything before it; else each sequence is read alone."""
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    sliding = getattr(text, "sliding_window", None) and getattr(text, "use_sliding_window", True)
    return kinds == {"full_attention"} and not sliding


def can_attend(model: Any) -> bool:
    """Is `attend` all that its attention does: no sinks, no cap on the scores."""
    capped = getattr(model.config.get_text_config(), "attn_logit_softcapping", None)
    return bool(getattr(model, "_supports_sdpa", False)) and not capped  # transformers' word for its own `sdpa`


def register() -> None:
    """Let transformers know `attn_implementation="shared"`."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register("shared", attend)
    AttentionMaskInterface.register("shared", sdpa_mask)


def logprobs(
    model: Any, sequences: Sequence[Sequence[int]], targets: Sequence[Sequence[bool | int]]
) -> tuple[list["torch.Tensor"], list["torch.Tensor"]]:
    """Of each sequence, the log-probabilities of its targets in nats, and the entropies where they were drawn.

    The first token of a sequence cannot be a target.
    """
    import torch

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    share = can_share(inner.config)
    if len(sequences) > 1 and not share:
        apart = [logprobs(model, [one], [which]) for one, which in zip(sequences, targets, strict=True)]
        return [values[0] for values, _ in apart], [entropies[0] for _, entropies in apart]

    device = inner.get_output_embeddings().weight.device
    row = together(sequences, device)
    parts = {"common": row.common, "rests": row.rests} if share else {}  # without them `attend` keeps to the mask
    found = inner.base_model(input_ids=row.ids, position_ids=row.positions, use_cache=False, **parts)
    hidden = found.last_hidden_state[0]
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
