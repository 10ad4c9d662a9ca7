"""Tasks by the dozen: every kind of question there is, from a seed."""

from collections.abc import Callable
from random import Random

from journeyman.errors import UsageError
from journeyman.training.families import arithmetic, changes, chat, code, coding, custom, files, plans, search, stories
from journeyman.training.tasks import Split, Task

TRIES = 400
"""Draws for one accepted task before a family counts as exhausted."""
UNSEEN_SHARE = 0.1
"""Share of the draws for held-out that use templates no training task uses; about a third of what is kept."""

Family = Callable[[Random, bool], Task]


MORE: dict[str, Family] = {"coding": coding.make}
"""Kinds that the starter was not trained with."""


def families() -> dict[str, Family]:
    """Every kind of question, by name."""
    return {
        "arithmetic": arithmetic.make,
        "word_problem": stories.make,
        "file_fact": files.fact,
        "file_lookup": files.lookup,
        "file_change": changes.change,
        "file_trouble": changes.trouble,
        "search": search.single,
        "adaptive_search": search.adaptive,
        "code": code.make,
        "plan": plans.make,
        "own_tool": custom.make,
        "chat": chat.make,
    }


def generate(kind: str, n: int, *, seed: int, split: Split) -> list[Task]:
    """`n` different tasks of one kind; the same arguments give the same tasks.

    Raises:
        UsageError: no such kind, or the family has fewer than `n` different tasks.
    """
    known = families() | MORE
    if kind not in known:
        raise UsageError(f"no kind of task is called {kind!r}", fix=f"use one of: {', '.join(known)}")

    family, random = known[kind], Random(f"{kind}/{seed}/{split}")
    tasks: dict[str, Task] = {}
    for _ in range(n * TRIES):
        task = family(random, split == "held_out" and random.random() < UNSEEN_SHARE)
        if task.split == split:
            tasks.setdefault(task.key, task)

        if len(tasks) == n:
            return list(tasks.values())

    raise UsageError(f"{kind} has only {len(tasks)} different tasks, not {n}", fix="ask for fewer")
