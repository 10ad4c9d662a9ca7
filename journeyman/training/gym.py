"""Tasks of reasoning-gym: over a hundred generators of questions, each with a verifier of its own.

An item depends on `seed + index` alone, so that ranges of seeds that overlap share items: which split an item belongs
to is decided by its content here.
"""

import re
import warnings
from difflib import get_close_matches
from functools import cache
from typing import Any

from journeyman.errors import UsageError, install
from journeyman.training.tasks import Split, Task
from journeyman.verifiers.case import Case
from journeyman.verifiers.check import Check, verifier
from journeyman.verifiers.score import Score, short

try:  # here and not below, so that a verifier's process that is forked from another has it already
    with warnings.catch_warnings(action="ignore"):  # of what it imports, about their own syntax
        import reasoning_gym
        from reasoning_gym.factory import DATASETS
except ImportError:
    raise UsageError("reasoning-gym is not installed.", fix=install("journeyman[tasks]")) from None

DRAWS = 40
"""Items looked at for one that is kept."""
SAID = re.compile(r"(?:\banswer(?:\s+is)?\s*:?\s+|<answer>\s*)(.+?)\s*(?:</answer>|$)", re.IGNORECASE | re.DOTALL)


def generate(name: str, n: int, *, seed: int, split: Split | None) -> list[Task]:
    """`n` different tasks of one generator; the same arguments and version give the same tasks.

    Raises:
        UsageError: reasoning-gym is not installed, has no such generator, or it has fewer tasks.
    """
    items = _dataset(name, seed, n * DRAWS)
    tasks: dict[str, Task] = {}
    for index in range(n * DRAWS):
        task = _task(name, seed, index, items[index])
        if split in {None, task.split}:
            tasks.setdefault(task.key, task)

        if len(tasks) == n:
            return list(tasks.values())

    raise UsageError(f"gym:{name} has only {len(tasks)} different tasks, not {n}.", fix="Ask for fewer.")


@verifier("gym/1")
def right(case: Case, *, name: str, seed: int, index: int) -> Score:
    """What the generator's own verifier says of the answer, or of what the answer names as its answer."""
    dataset = _dataset(name, seed, index + 1)
    entry = dataset[index]
    answer = (case.answer or "").strip()
    named = SAID.findall(answer)
    score = max(float(dataset.score_answer(each, entry)) for each in [answer, *named])
    return Score.of(min(max(score, 0), 1), f"{short(answer)} against {short(str(entry['answer']))}")


def _task(name: str, seed: int, index: int, entry: dict[str, Any]) -> Task:
    parameters = {"name": name, "seed": seed, "index": index}
    check = Check(verifier="journeyman.training.gym:right", name="gym", parameters=parameters)
    return Task(
        kind=name,
        prompt=str(entry["question"]).strip(),
        answer=str(entry["answer"]),
        checks=(check,),
        says=str(entry["answer"]),
        source=f"gym:{name}@{_version()}#{seed}+{index}",
    )


@cache
def _dataset(name: str, seed: int, size: int) -> Any:
    if name not in DATASETS:
        near = get_close_matches(name, DATASETS, n=3)
        hint = (
            f"Did you mean {' or '.join(near)}?"
            if near
            else f"There are {len(DATASETS)}: {', '.join(sorted(DATASETS))}."
        )
        raise UsageError(f"reasoning-gym has no generator {name!r}.", fix=hint)

    return reasoning_gym.create_dataset(name, seed=seed, size=size)


def _version() -> str:
    from importlib.metadata import version

    return version("reasoning-gym")
