"""Controls: the same training with rewards that mean nothing. If it helps as much, it is not the rewards that helped.

`random`: as many attempts, drawn blindly; their rewards, dealt anew within each group. `format`: an attempt counts if
it ended in an answer and every call could be made, whatever it said; where thoughts are rewarded, with one before each.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from random import Random

from sqlalchemy import select

from journeyman.traces.project import refresh
from journeyman.traces.schema import run
from journeyman.traces.store import Store
from journeyman.training.rows import Row

ARMS = ("random", "format")


def by_format(store: Store, batch: str, thought: Mapping[str, bool] = {}) -> set[str]:
    """Ids of the runs that answered, with no call that went wrong or, by `thought`, was not thought of first.

    Raises:
        StoreError: the store cannot be read.
    """
    refresh(store)
    wanted = select(run.c.run_id).where(run.c.batch == batch, run.c.outcome == "answered", run.c.errors == 0)
    with store.reading() as connection:
        return {run_id for run_id in connection.execute(wanted).scalars() if thought.get(run_id, True)}


def worthless(
    arm: str, rows: Sequence[Row], formed: Collection[str], count: int, *, seed: int, ranked: bool
) -> list[Row]:
    """The rows that a control is trained on.

    Args:
        arm: one of `ARMS`.
        rows: all attempts, right or wrong.
        formed: runs of good form.
        count: how many the training had.
        seed: of what is drawn.
        ranked: they are groups to be reinforced, not examples to be imitated.
    """
    random = Random(seed)
    if ranked and arm == "format":
        return [replace(row, reward=float(row.run_id in formed)) for row in rows]

    if ranked:
        return _dealt_anew(rows, random)

    pool = [row for row in rows if arm == "random" or row.run_id in formed]
    random.shuffle(pool)
    return pool[:count]


def _dealt_anew(rows: Sequence[Row], random: Random) -> list[Row]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.group].append(row)

    dealt = []
    for group in groups.values():
        rewards = [row.reward for row in group]
        random.shuffle(rewards)
        dealt += [replace(row, reward=reward) for row, reward in zip(group, rewards, strict=True)]

    return dealt
