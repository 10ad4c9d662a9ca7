"""How tall each of very many items is, summed: finding what stands at a row takes log n, and so does a change."""

from collections.abc import Iterable


class Heights:
    """A Fenwick tree over the heights of items."""

    def __init__(self, heights: Iterable[int] = ()) -> None:
        self._heights = list(heights)
        self._tree = [0, *self._heights]
        for at in range(1, len(self._tree)):
            parent = at + (at & -at)
            if parent < len(self._tree):
                self._tree[parent] += self._tree[at]

    def __len__(self) -> int:
        return len(self._heights)

    def __getitem__(self, index: int) -> int:
        return self._heights[index]

    @property
    def total(self) -> int:
        return self.before(len(self._heights))

    def append(self, height: int) -> None:
        self._heights.append(height)
        at = len(self._heights)
        lowest = at - (at & -at)
        self._tree.append(height + self.before(at - 1) - self.before(lowest))

    def set(self, index: int, height: int) -> None:
        change = height - self._heights[index]
        self._heights[index] = height
        at = index + 1
        while change and at < len(self._tree):
            self._tree[at] += change
            at += at & -at

    def before(self, index: int) -> int:
        """Rows above the item."""
        rows = 0
        while index:
            rows += self._tree[index]
            index &= index - 1

        return rows

    def find(self, row: int) -> tuple[int, int]:
        """The item that stands at a row, and which of its rows that is; the last item for rows past the end."""
        at, left, size = 0, row, len(self._heights)
        step = 1 << size.bit_length()
        while step := step >> 1:
            if at + step <= size and self._tree[at + step] <= left:
                at += step
                left -= self._tree[at]

        return (at, left) if at < size else (size - 1, left + self._heights[-1])
