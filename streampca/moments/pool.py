"""Arrays of one shape, many of them, in blocks of memory that never move.

Growing by blocks of a few megabytes copies nothing, and leaves less unused than doubling does.
Knows nothing of what the arrays are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Places = NDArray[np.int64]
Index: TypeAlias = "slice | Places"

_BLOCK_BYTES = 2**22
"""Of one block: products of a few hundred small matrices, after which a call costs nothing."""


class Pool:
    """Places for arrays of one shape, by number.

    Examples
    --------
    >>> pool = Pool((2,))
    >>> places = pool.take(3)
    >>> pool.put(places, np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    >>> pool.free(places[:1])
    >>> pool.get(places[1:]), pool.take(1)
    (array([[3., 4.],
           [5., 6.]]), array([0]))
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._size = max(1, _BLOCK_BYTES // (8 * max(1, int(np.prod(shape)))))
        self._blocks: list[Float64] = []
        self._used = 0
        self._free: list[int] = []
        self._n_free = np.zeros(0, np.int64)  # in each block

    @property
    def nbytes(self) -> int:
        """Bytes of the places in use, and of free ones among them."""
        return self._in_blocks() * 8 * int(np.prod(self.shape))

    def _in_blocks(self) -> int:
        """Places in blocks of which at least one is in use."""
        ends = np.minimum(self._size * np.arange(1, len(self._blocks) + 1), self._used)
        sizes = np.diff(ends, prepend=0)
        return int(sizes[self._n_free[: len(sizes)] < sizes].sum())

    def take(self, count: int) -> Places:
        """Places whose arrays hold anything."""
        again = np.array([self._free.pop() for _ in range(min(count, len(self._free)))], np.int64)
        np.subtract.at(self._n_free, again // self._size, 1)
        new, first = count - len(again), self._used
        self._used += new
        while self._used > self._size * len(self._blocks):
            self._blocks.append(np.zeros((self._size, *self.shape)))
            self._n_free = np.append(self._n_free, 0)
        return np.concatenate([again, np.arange(first, first + new)])

    def free(self, places: Places) -> None:
        """Places that nobody needs any more."""
        self._free.extend(places[::-1].tolist())
        numbers = places // self._size
        np.add.at(self._n_free, numbers, 1)
        for number in np.unique(numbers):
            if self._n_free[number] == self._size:  # the system gives memory when it is written
                self._blocks[number] = np.zeros_like(self._blocks[number])

    def parts(self, places: Places) -> Iterator[tuple[Index, Float64, Index]]:
        """Which of the places, the block that they lie in, and where: block by block.

        Slices where places follow each other: reading these copies nothing.
        """
        if not len(places):
            return
        size = self._size
        if places[-1] - places[0] == len(places) - 1 and (np.diff(places) == 1).all():
            first, end = int(places[0]), int(places[-1]) + 1
            for number in range(first // size, -(-end // size)):
                start, stop = max(first, number * size), min(end, (number + 1) * size)
                at = slice(start - number * size, stop - number * size)
                yield slice(start - first, stop - first), self._blocks[number], at
            return
        numbers = places // size
        order = np.argsort(numbers, kind="stable")
        for which in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
            mine = places[which]
            yield which, self._blocks[int(mine[0]) // size], mine % size

    def get(self, places: Places) -> Float64:
        """Copies of arrays, (k, *shape)."""
        found = np.empty((len(places), *self.shape))
        for which, block, at in self.parts(places):
            found[which] = block[at]
        return found

    def put(self, places: Places, values: Float64) -> None:
        """Write arrays, (k, *shape)."""
        for which, block, at in self.parts(places):
            block[at] = values[which]
