"""Do the engine and the trainer mean the same adapter: their next-token probabilities, side by side.

The engine reads a quantised base and multiplies in other number formats, so they never agree to the last digit; an
adapter that was written wrongly is off by orders of magnitude more.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from journeyman.agent.models.files import ModelFiles
from journeyman.agent.models.llama import LlamaModel
from journeyman.traces.messages import Value
from journeyman.training.rows import Row

PLACES = 6
"""Targets of each row that are compared."""
TOP = 200
"""Of the vocabulary that the engine tells; what is left is one more outcome."""


class Agreement(Value):
    places: int
    kl: float
    """Of the trainer's distribution from the engine's, mean in nats: with the adapter on both sides."""
    base_kl: float
    """The same where the trainer has the base alone: what the adapter changes."""
    mismatch: float
    """Mean difference of the log-probability of the token that followed, in nats a token."""
    same_top: float
    """Share of places where both find the same token likeliest."""


async def agreement(files: ModelFiles, model: Any, rows: Sequence[Row]) -> Agreement:
    """Compare them on the drawn tokens of rows.

    Args:
        files: the base and the written adapter.
        model: the trained one.
        rows: a few are enough.

    Raises:
        ModelError: the engine cannot load the adapter.
    """
    engine = LlamaModel(files)
    await engine.open()
    try:
        asked = [(ids, await _told(engine, ids)) for ids in _beginnings(rows)]
    finally:
        await engine.close()

    told = [(ids, told_of) for ids, told_of in asked if told_of]
    with_adapter = [_compared(told_of, _own(model, ids), ids[-1]) for ids, told_of in told]
    with model.disable_adapter():
        alone = [_compared(told_of, _own(model, ids), ids[-1])[0] for ids, told_of in told]

    count = max(len(told), 1)
    kl, apart, same = (sum(column) / count for column in zip(*with_adapter, strict=True)) if told else (0.0, 0.0, 1.0)
    return Agreement(
        places=len(told),
        kl=round(kl, 5),
        base_kl=round(sum(alone) / count, 5),
        mismatch=round(apart, 4),
        same_top=round(same, 4),
    )


def _beginnings(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Rows up to and with one of their targets."""
    for row in rows:
        targets = [at for at, drawn in enumerate(row.drawn) if drawn and at]
        for at in targets[:: max(1, len(targets) // PLACES)][:PLACES]:
            yield row.ids[: at + 1]


async def _told(engine: LlamaModel, ids: Sequence[int]) -> dict[int, float]:
    """By token; empty where the engine drew the end of the text, of which it tells nothing."""
    body = {
        "prompt": list(ids[:-1]), "n_predict": 1, "n_probs": TOP, "temperature": 1.0, "top_k": 0, "top_p": 1.0,
        "min_p": 0.0, "cache_prompt": True, "post_sampling_probs": False,
    }  # fmt: skip
    event = await engine.wire.post("/completion", body)
    listed = event.get("completion_probabilities") or [{"top_logprobs": []}]
    return {each["id"]: each["logprob"] for each in listed[0]["top_logprobs"]}


def _own(model: Any, ids: Sequence[int]) -> Any:
    """The trainer's log-probabilities of every next token."""
    import torch

    with torch.no_grad():
        device = model.get_base_model().get_output_embeddings().weight.device
        given = torch.tensor([ids[:-1]], device=device)
        return torch.log_softmax(model(input_ids=given, use_cache=False).logits[0, -1].float(), dim=-1).cpu()


def _compared(told: dict[int, float], own: Any, followed: int) -> tuple[float, float, float]:
    """Divergence, difference for the token that followed, and whether the likeliest is the same."""
    import torch

    known = torch.tensor(list(told))
    theirs, ours = torch.tensor(list(told.values())), own[known]
    rest = math.log(max(1 - ours.exp().sum().item(), 1e-9)), math.log(max(1 - theirs.exp().sum().item(), 1e-9))
    kl = (ours.exp() * (ours - theirs)).sum().item() + math.exp(rest[0]) * (rest[0] - rest[1])
    apart = abs(own[followed].item() - told[followed]) if followed in told else 0.0
    return kl, apart, float(own.argmax().item() == max(told, key=lambda id_: told[id_]))
