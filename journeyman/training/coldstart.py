"""Makes the starter's adapter: generated tasks, oracle dialogues through the real tools, LoRA, GGUF. CPU only.

    uv run --extra train python -m journeyman.training.coldstart

A cold start teaches the protocol: when to call which tool, how to write the call, when to stop. It goes in rounds, each
with data of its own, a few large groups first and many small ones later. The same seeds and versions give the same data
and, up to the rounding of parallel sums, the same adapter. It takes about an hour on two cores and 6 GB.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from journeyman.agent.models.starter import ADAPTER, find_starter
from journeyman.errors import ConfigError, JourneymanError
from journeyman.training import lora
from journeyman.training.card import Recipe, card, facts, save
from journeyman.training.dialogues import Played, played
from journeyman.training.encode import Tokeniser, pack
from journeyman.training.mixture import Mixture
from journeyman.training.tune import Progress, Schedule, tune
from journeyman.training.workshop import builtin_specs

ROUNDS = (
    Recipe(seed=1, groups=320, size=7, rate=1e-3, workers=2, stop=80),
    Recipe(seed=2, groups=260, size=4, rate=1.5e-3, workers=1),
    Recipe(seed=3, groups=480, size=4, rate=1.5e-3, workers=2, stop=60),
    Recipe(seed=4, groups=150, size=4, rate=1.2e-3, workers=2),
)
SHAPE = lora.Shape()
CHECKPOINT = 20
"""Steps after which the adapter so far is written."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, or that of the error that was printed."""
    given = _parse(arguments)
    rounds = [replace(one, groups=given.groups or one.groups, tasks=given.tasks) for one in ROUNDS[-given.rounds :]]
    try:
        train(rounds, given.out, given.start)
    except JourneymanError as error:
        _say(f"error: {error}\n{error.fix}")
        return error.exit_code

    return 0


def train(rounds: Sequence[Recipe], out: Path, start: Path | None = None) -> None:
    """Train all rounds, from nothing or on from a written adapter; leaves `adapter.gguf` and `adapter.json` in `out`.

    Raises:
        ConfigError: the `train` extra is not installed, or `start` does not fit.
        ModelNotFound: the starter's base model is not installed.
    """
    base = find_starter().model
    torch = _torch()
    torch.set_num_threads(1)  # a worker is one thread
    torch.manual_seed(rounds[0].seed)
    model = lora.load_base(base)
    pupil = _Pupil(model, lora.attach(model, SHAPE, rounds[0].seed), Tokeniser(base), out / ADAPTER.name)
    if start:
        lora.read(model, SHAPE, start)

    out.mkdir(parents=True, exist_ok=True)
    done = [_round(recipe, pupil) for recipe in rounds]
    pupil.save()
    save(card(base, done, SHAPE, start), pupil.path)
    _say(f"wrote {pupil.path}")


@dataclass(frozen=True, slots=True)
class _Pupil:
    model: Any
    parameters: Sequence[Any]
    tokenise: Tokeniser
    path: Path

    def save(self) -> None:
        lora.write(self.model, SHAPE, self.path)


def _round(recipe: Recipe, pupil: _Pupil) -> dict[str, Any]:
    _say(f"playing {recipe.groups} groups of dialogues")
    groups, dropped = anyio.run(partial(_data, recipe))
    packs = [pack(pupil.tokenise, group.instructions, group.tools, group.dialogues) for group in groups]
    _say(f"{sum(len(one.ids) for one in packs)} tokens, {dropped} tasks dropped")

    def report(progress: Progress) -> None:
        _report(progress)
        if progress.step % CHECKPOINT == 0:
            pupil.save()

    schedule = Schedule(rate=recipe.rate)
    loss = tune(pupil.model, pupil.parameters, packs, schedule, report, workers=recipe.workers, stop=recipe.stop)
    return facts(recipe, groups, packs, dropped, loss)


async def _data(recipe: Recipe) -> tuple[list[Played], int]:
    async with anyio.TemporaryDirectory() as folder:
        specs = await builtin_specs(Path(folder))

    mixture = Mixture(specs, tasks=recipe.tasks, seed=recipe.seed)
    groups, dropped = await played(mixture, recipe.groups, size=recipe.size, seed=recipe.seed)
    return groups, len(dropped)


def _torch() -> Any:
    try:
        import gguf  # noqa: F401 - needed at the end: better missed at the start
        import torch
        import transformers  # noqa: F401
    except ModuleNotFoundError as error:
        fix = "uv run --extra train python -m journeyman.training.coldstart"
        raise ConfigError(f"training needs {error.name}, which is not installed", fix=fix) from None

    return torch


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    program = "python -m journeyman.training.coldstart"
    parser = argparse.ArgumentParser(prog=program, description="Train the starter's adapter.")
    parser.add_argument("--out", type=Path, default=ADAPTER.parent, help="folder of adapter.gguf and adapter.json")
    parser.add_argument("--start", type=Path, metavar="ADAPTER", help="go on from this adapter")
    parser.add_argument("--rounds", type=int, default=len(ROUNDS), help="only the last so many rounds")
    parser.add_argument("--groups", type=int, default=0, help="groups of dialogues in each round")
    parser.add_argument("--tasks", type=int, default=ROUNDS[-1].tasks, help="different tasks to draw from")
    return parser.parse_args(arguments)


def _report(progress: Progress) -> None:
    if progress.step % 10 == 0 or progress.step == progress.steps:
        speed = progress.tokens / progress.seconds
        where = f"step {progress.step}/{progress.steps}"
        _say(f"{where} loss {progress.loss:.4f} {speed:.0f} tokens/s {progress.seconds:.0f} s")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
