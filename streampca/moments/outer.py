"""X'X of sparse rows: the product of each pair of entries of a row, added where it belongs.

A general product of sparse matrices makes a sparse matrix first, both triangles of it, which costs
more than the pairs themselves while rows are few. Knows csr arrays and nothing of means or weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TOGETHER = 2**15
"""Entries of rows that are worked on at once: some 1.5 MB with all that is made of them."""

_CROWDED, _AT_ONCE = 6e-4, 2**24
"""Pairs of entries beside those of dense rows, for each byte of a number, from which BLAS is faster
at dense rows: about 4.9 % of entries stored in float32, 6.9 % in float64 (measured on one core, 200
to 4,000 features). And the entries of a minibatch up to which it is made dense: 128 MB."""


def add_outer(S: NDArray[np.float64], X: Any, times: float) -> None:
    """S += times X'X where column >= row, for S (n, n) contiguous and csr rows X (m, n).

    Entries of a row are in the order of their columns, none stored twice.
    """
    flat, n = S.reshape(-1), len(S)
    starts, lengths = X.indptr[:-1].astype(np.intp), np.diff(X.indptr).astype(np.intp)
    for first, last in _portions(X.indptr):
        longest_first = np.argsort(-lengths[first:last], kind="stable") + first
        counts = _longer(lengths[longest_first])
        # position by position: the first entries of all rows, the second ones, and so on
        row = np.concatenate([np.arange(count) for count in counts])
        at = starts[longest_first][row] + np.repeat(np.arange(len(counts)), counts)
        column, value = X.indices[at].astype(np.intp), X.data[at].astype("float64")
        place, factor = column * n, value * times
        into, product = np.empty_like(column), np.empty_like(value)
        begin = 0
        for count in counts:  # entries of one position, beside all that stand after them
            end, rest = begin + count, row[begin:]
            np.take(place[begin:end], rest, out=into[begin:], mode="clip")
            into[begin:] += column[begin:]
            np.take(factor[begin:end], rest, out=product[begin:], mode="clip")
            product[begin:] *= value[begin:]
            np.add.at(flat, into[begin:], product[begin:])
            begin = end


def _portions(indptr: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Rows from one to another with about as many entries each as are worked on at once."""
    first, m = 0, len(indptr) - 1
    while first < m:
        most = int(indptr[first]) + _TOGETHER
        last = max(first + 1, int(np.searchsorted(indptr, most, side="right")) - 1)
        if indptr[last] > indptr[first]:
            yield first, last
        first = last


def _longer(lengths: NDArray[np.intp]) -> NDArray[np.intp]:
    """How many rows have an entry at each position, for lengths (m,), the largest first."""
    positions = np.arange(lengths[0])
    shorter = np.searchsorted(lengths[::-1], positions, side="right")
    return np.asarray(len(lengths) - shorter)


def crowded(X: Any) -> bool:
    """Whether csr rows X (m, n) are learned faster when they are made dense."""
    m, n = X.shape
    lengths = np.diff(X.indptr).astype("float64")
    pairs = float(lengths @ lengths)
    return bool(m * n <= _AT_ONCE and pairs >= _CROWDED * X.dtype.itemsize * m * n * n)
