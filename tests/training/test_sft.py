"""Which conversations are read together."""

from journeyman.training.rows import Row
from journeyman.training.sft import batched


def _row(*ids: int) -> Row:
    return Row(list(ids), [0] * (len(ids) - 1) + [1])


ONE, OTHER = range(100, 110), range(200, 210)


def test_batches_are_of_conversations_that_begin_alike_and_even() -> None:
    rows = [_row(*head, n) for n in range(5) for head in (ONE, OTHER)]
    batches = batched(rows, 4, seed=1)
    assert sorted(len(batch["ids"]) for batch in batches) == [2, 2, 3, 3]
    assert all(len({ids[0] for ids in batch["ids"]}) == 1 for batch in batches)
    assert sorted(ids for batch in batches for ids in batch["ids"]) == sorted(row.ids for row in rows)


def test_conversations_like_no_other_are_read_beside_each_other() -> None:
    batches = batched([_row(*range(n, n + 9)) for n in range(0, 500, 100)], 4, seed=1)
    assert sorted(len(batch["ids"]) for batch in batches) == [1, 4]


def test_the_same_seed_gives_the_same_batches_whatever_the_order_of_the_rows() -> None:
    rows = [_row(*ONE, n) for n in range(9)]
    assert batched(rows, 4, seed=1) == batched(rows[::-1], 4, seed=1) != batched(rows, 4, seed=2)
