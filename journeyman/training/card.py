"""What an adapter is and what it was made from: `adapter.json`, beside the file it describes."""

import hashlib
import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from journeyman.training.dialogues import Played
from journeyman.training.encode import Pack
from journeyman.training.lora import Shape
from journeyman.training.mixture import SHARES


@dataclass(frozen=True, slots=True)
class Recipe:
    """One round of training."""

    seed: int
    groups: int
    """Groups of dialogues behind one system turn; `workers` of them make an optimiser step."""
    size: int
    """Dialogues a group, at most."""
    rate: float
    workers: int
    stop: int = 0
    """Steps after which to stop in the middle of the schedule; 0 for none."""
    tasks: int = 8000
    """Different tasks the dialogues are drawn from."""


def facts(recipe: Recipe, groups: Sequence[Played], packs: Sequence[Pack], dropped: int, loss: float) -> dict[str, Any]:
    """A round: its recipe, what it trained on, how it ended. Counts are of the data that was made, not of what was
    reached where the round was stopped early.
    """
    kinds = Counter(kind for group in groups for kind in group.kinds)
    return {
        "recipe": asdict(recipe) | {"shares": SHARES},
        "tasks": sum(kinds.values()),
        "by_kind": dict(sorted(kinds.items())),
        "dropped": dropped,
        "tokens": sum(len(one.ids) for one in packs),
        "target_tokens": sum(sum(one.learnt) for one in packs),
        "final_loss": round(loss, 4),
    }


def card(base: Path, rounds: Sequence[Mapping[str, Any]], shape: Shape, start: Path | None = None) -> dict[str, Any]:
    versions = {name: metadata.version(name) for name in ("torch", "transformers", "gguf")}
    return {
        "made_by": "python -m journeyman.training.coldstart",
        "date": datetime.now(UTC).date().isoformat(),
        "base": {"file": base.name, "sha256": sha256(base)},
        "shape": asdict(shape),
        "started_from": sha256(start) if start else None,
        "rounds": list(rounds),
        "versions": versions | {"python": platform.python_version()},
    }


def save(content: Mapping[str, Any], adapter: Path) -> None:
    """Write the card of an adapter beside it."""
    text = json.dumps({**content, "adapter_sha256": sha256(adapter)}, indent=2)
    adapter.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
