"""Supervised fine-tuning of the adapter on packed dialogues; only what the assistant wrote is a target.

Each step takes one pack from each worker. Workers are processes of one thread: threads inside one process wait for each
other at every matrix product, which on a busy machine costs most of the time; workers wait for each other once a step.
Weights and gradients lie in shared memory, so the sum is taken without copies.
"""

import math
import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from journeyman.training.encode import Pack

if TYPE_CHECKING:
    import torch

PATIENCE = 600.0
"""Seconds that a worker may take for one step until training is given up."""


@dataclass(frozen=True, slots=True)
class Schedule:
    rate: float = 1e-3
    """Highest learning rate; it rises over `warmup` steps, then falls along a cosine to a twentieth."""
    warmup: int = 10
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
    *,
    workers: int = 1,
    stop: int = 0,
) -> float:
    """Go through the packs once, `workers` packs a step, or to step `stop`; returns the last smoothed loss.

    Raises:
        threading.BrokenBarrierError: a worker died or was too slow.
    """
    import torch

    crew = _Crew(model, parameters, packs, workers)
    optimiser = torch.optim.AdamW(parameters, lr=schedule.rate, betas=(0.9, 0.98), weight_decay=0.0)
    started, tokens, smooth, steps = monotonic(), 0, math.nan, len(packs) // workers
    try:
        for step in range(stop or steps):
            _set_rate(optimiser.param_groups, schedule.at(step, steps))
            loss = crew.gradient(step)
            torch.nn.utils.clip_grad_norm_(parameters, schedule.clip)
            optimiser.step()
            tokens += sum(len(pack.ids) for pack in packs[step * workers : (step + 1) * workers])
            smooth = loss if math.isnan(smooth) else 0.9 * smooth + 0.1 * loss
            report(Progress(step + 1, steps, smooth, tokens, monotonic() - started))
    finally:
        crew.close()

    return smooth


class _Crew:
    """The main process and its copies: each has the whole model, the parameters are one and the same memory."""

    def __init__(self, model: Any, parameters: Sequence["torch.Tensor"], packs: Sequence[Pack], workers: int) -> None:
        import torch

        self._model, self._parameters, self._packs, self._count = model, parameters, packs, workers
        for parameter in parameters:
            parameter.data.share_memory_()

        size = sum(parameter.numel() for parameter in parameters)
        self._gradients = torch.zeros(workers, size).share_memory_()
        self._losses = torch.zeros(workers).share_memory_()
        context = multiprocessing.get_context("fork")
        self._start, self._done = context.Barrier(workers), context.Barrier(workers)
        self._others = [context.Process(target=self._serve, args=(rank,), daemon=True) for rank in range(1, workers)]
        for other in self._others:
            other.start()

    def gradient(self, step: int) -> float:
        """The mean gradient of the step's packs, put where the optimiser expects it; returns the mean loss."""
        self._start.wait(PATIENCE)
        self._work(step, 0)
        self._done.wait(PATIENCE)
        mean = self._gradients.mean(0)
        pieces = mean.split([parameter.numel() for parameter in self._parameters])
        for parameter, piece in zip(self._parameters, pieces, strict=True):
            parameter.grad = piece.view_as(parameter)

        return self._losses.mean().item()

    def close(self) -> None:
        self._start.abort()
        for other in self._others:
            other.join(10)

    def _serve(self, rank: int) -> None:
        import threading

        for step in range(len(self._packs) // self._count):
            try:
                self._start.wait(PATIENCE)
            except threading.BrokenBarrierError:
                return

            self._work(step, rank)
            self._done.wait(PATIENCE)

    def _work(self, step: int, rank: int) -> None:
        import torch

        for parameter in self._parameters:
            parameter.grad = None

        loss = step_loss(self._model, self._packs[step * self._count + rank])
        loss.backward()
        self._losses[rank] = loss.item()
        torch.cat([parameter.grad.flatten() for parameter in self._parameters], out=self._gradients[rank])


def step_loss(model: Any, pack: Pack) -> "torch.Tensor":
    """Mean negative log-likelihood of the assistant's tokens. The vocabulary's logits are made for these alone.

    A token counts 1 / sqrt(targets of its dialogue): long plans and programs do not drown short answers.
    """
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
    losses = cross_entropy(model.lm_head(hidden[targets - 1]).float(), ids[0, targets], reduction="none")
    dialogue = torch.tensor(pack.segment)[targets]
    weights = torch.bincount(dialogue)[dialogue] ** -0.5
    return (losses * weights).sum() / weights.sum()


def _set_rate(groups: Iterable[dict[str, Any]], rate: float) -> None:
    for group in groups:
        group["lr"] = rate
