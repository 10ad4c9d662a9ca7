"""Supervised fine-tuning of the adapter on packed dialogues; only what the assistant wrote is a target."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from journeyman.training.encode import Pack

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Schedule:
    rate: float = 1e-3
    """Highest learning rate; it rises over `warmup` steps, then falls along a cosine to a twentieth."""
    warmup: int = 15
    clip: float = 1.0

    def at(self, step: int, steps: int) -> float:
        falling = 0.05 + 0.95 * (1 + math.cos(math.pi * step / steps)) / 2
        return self.rate * min(1.0, (step + 1) / self.warmup) * falling


@dataclass(frozen=True, slots=True)
class Progress:
    step: int
    steps: int
    loss: float
    """Mean over the last ten steps or so, nats per target token."""
    tokens: int
    seconds: float


def tune(
    model: Any,
    parameters: Sequence["torch.Tensor"],
    packs: Sequence[Pack],
    schedule: Schedule,
    report: Callable[[Progress], None],
) -> float:
    """One optimiser step a pack, in the given order; returns the last smoothed loss."""
    import torch

    optimiser = torch.optim.AdamW(parameters, lr=schedule.rate, betas=(0.9, 0.98), weight_decay=0.0)
    started, tokens, smooth = monotonic(), 0, math.nan
    for step, pack in enumerate(packs):
        _set_rate(optimiser.param_groups, schedule.at(step, len(packs)))
        loss = step_loss(model, pack)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, schedule.clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        tokens += len(pack.ids)
        smooth = loss.item() if math.isnan(smooth) else 0.9 * smooth + 0.1 * loss.item()
        report(Progress(step + 1, len(packs), smooth, tokens, monotonic() - started))

    return smooth


def step_loss(model: Any, pack: Pack) -> "torch.Tensor":
    """Mean negative log-likelihood of the assistant's tokens. The vocabulary's logits are made for these alone."""
    import torch
    from torch.nn.functional import cross_entropy

    ids = torch.tensor([pack.ids])
    hidden = model.model(
        input_ids=ids,
        attention_mask=pack.mask(),
        position_ids=torch.tensor([pack.positions]),
        use_cache=False,
    ).last_hidden_state[0]
    targets = torch.tensor(pack.learnt).nonzero()[:, 0]
    return cross_entropy(model.lm_head(hidden[targets - 1]).float(), ids[0, targets])


def _set_rate(groups: Iterable[dict[str, Any]], rate: float) -> None:
    for group in groups:
        group["lr"] = rate
