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
        told = [(row.ids, {at: await _told(engine, row.ids[:at]) for at in _places(row)}) for row in rows]
    finally:
        await engine.close()

    with_adapter = list(_compare(model, told))
    with model.disable_adapter():
        alone = [kl for kl, _, _ in _compare(model, told)]

    count = max(len(alone), 1)
    kl, apart, same = (sum(column) / count for column in zip(*with_adapter, strict=True)) if alone else (0.0, 0.0, 1.0)
    return Agreement(
        places=len(alone),
        kl=round(kl, 5),
        base_kl=round(sum(alone) / count, 5),
        mismatch=round(apart, 4),
        same_top=round(same, 4),
    )


def _places(row: Row) -> list[int]:
    """Some of its targets."""
    targets = [at for at, drawn in enumerate(row.drawn) if drawn and at]
    return targets[:: max(1, len(targets) // PLACES)][:PLACES]


async def _told(engine: LlamaModel, ids: Sequence[int]) -> dict[int, float]:
    """By token; empty where the engine drew the end of the text, of which it tells nothing."""
    body = {
        "prompt": list(ids), "n_predict": 1, "n_probs": TOP, "temperature": 1.0, "top_k": 0, "top_p": 1.0,
        "min_p": 0.0, "cache_prompt": True, "post_sampling_probs": False,
    }  # fmt: skip
    event = await engine.wire.post("/completion", body)
    listed = event.get("completion_probabilities") or [{"top_logprobs": []}]
    return {each["id"]: each["logprob"] for each in listed[0]["top_logprobs"]}


def _compare(model: Any, told: Sequence[tuple[list[int], dict[int, dict[int, float]]]]) -> Iterator[tuple[float, ...]]:
    """What `_compared` says of each place where the engine told something."""
    for ids, of in told:
        places = [at for at, told_of in of.items() if told_of]
        for at, own in zip(places, _own(model, ids, places) if places else [], strict=True):
            yield _compared(of[at], own, ids[at])


def _own(model: Any, ids: Sequence[int], places: Sequence[int]) -> Any:
    """The trainer's log-probabilities of every token at some places, (places, vocabulary); all is read once."""
    import torch

    with torch.no_grad():
        device = model.get_base_model().get_output_embeddings().weight.device
        given = torch.tensor([ids[: places[-1]]], device=device)
        before = torch.tensor(places, device=device) - 1
        found = model(input_ids=given, use_cache=False, logits_to_keep=before).logits[0]
        return torch.log_softmax(found.float(), dim=-1).cpu()


def _compared(told: dict[int, float], own: Any, followed: int) -> tuple[float, float, float]:
    """Divergence, difference for the token that followed, and whether the likeliest is the same."""
    import torch

    known = torch.tensor(list(told))
    theirs, ours = torch.tensor(list(told.values())), own[known]
    rest = math.log(max(1 - ours.exp().sum().item(), 1e-9)), math.log(max(1 - theirs.exp().sum().item(), 1e-9))
    kl = (ours.exp() * (ours - theirs)).sum().item() + math.exp(rest[0]) * (rest[0] - rest[1])
    apart = abs(own[followed].item() - told[followed]) if followed in told else 0.0
    return kl, apart, float(own.argmax().item() == max(told, key=lambda id_: told[id_]))
