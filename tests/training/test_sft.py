"""Which conversations are read together."""

from journeyman.training.rows import Row
from journeyman.training.sft import batched


def _row(*ids: int) -> Row:
    return Row(list(ids), [0] * (len(ids) - 1) + [1])


ONE, OTHER = range(100, 110), range(200, 210)


def test_batches_are_of_conversations_that_begin_alike_and_even() -> None:
    rows = [_row(*head, n) for n in range(6) for head in (ONE, OTHER)]
    batches = batched(rows, 4, seed=1)
    assert [len(batch["ids"]) for batch in batches] == [3, 3, 3, 3]
    assert all(len({ids[0] for ids in batch["ids"]}) == 1 for batch in batches)
    assert sorted(ids for batch in batches for ids in batch["ids"]) == sorted(row.ids for row in rows)


def test_what_is_left_is_put_together_so_that_no_conversation_weighs_more() -> None:
    pairs = [_row(*range(first, first + 9), n) for first in range(0, 800, 100) for n in range(2)]
    lone = [_row(*range(first, first + 9)) for first in range(1000, 1500, 100)]
    batches = batched([*pairs, *lone], 4, seed=1)
    assert sorted(len(batch["ids"]) for batch in batches) == [1, 4, 4, 4, 4, 4]


def test_a_short_one_is_not_read_with_long_ones_that_share_little() -> None:
    long = [_row(*range(100), n) for n in range(4)]
    short = [_row(0, 1, 2, 1000 + n) for n in range(4)]
    batches = batched([*long, *short], 4, seed=1)
    assert sorted(sorted(map(len, batch["ids"])) for batch in batches) == [[4, 4, 4, 4], [101, 101, 101, 101]]


def test_the_same_seed_gives_the_same_batches_whatever_the_order_of_the_rows() -> None:
    rows = [_row(*ONE, n) for n in range(9)]
    assert batched(rows, 4, seed=1) == batched(rows[::-1], 4, seed=1) != batched(rows, 4, seed=2)
