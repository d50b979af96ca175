"""A function of each row, computed part by part, in the kind of array of the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from streampca.arrays import Array, is_tensor, torch
from streampca.rows.arrays import only_tensor
from streampca.rows.parts import in_parts, renumbered


def answers(X: Any, compute: Callable[[Any], Array]) -> Array:
    """`compute(rows)` (k, ...) of the rows of X, part by part where there are many.

    A tensor where X is one, on its device; otherwise a numpy array.

    Examples
    --------
    >>> answers([[1.0, 2.0], [3.0, 4.0]], lambda rows: np.sum(rows, axis=1))
    array([3., 7.])
    """
    parts = in_parts(X, floats=True)
    if parts is None:
        return like(X, compute(X))
    joined = _Joined(_length(X))

    def keep(part: Any, first: int) -> int:
        return joined.append(first, compute(part))

    renumbered(parts, keep)
    return like(X, joined.array())


def like(X: Any, answer: Array) -> Array:
    """An answer as a tensor on the device of X where X is a tensor; as it is otherwise."""
    X = only_tensor(X)
    if not is_tensor(X) or is_tensor(answer):
        return answer
    tensor = torch.from_numpy(answer)
    return tensor if X.device.type == "cpu" else tensor.to(X.device)


def _length(X: Any) -> int | None:
    """How many rows there are, where that is known."""
    shape = getattr(only_tensor(X), "shape", None)
    rows = shape[0] if shape else getattr(X, "num_rows", None)
    return rows if isinstance(rows, int) else None


class _Joined:
    """Answers joined, in memory that is allocated once where their number is known."""

    def __init__(self, n_rows: int | None) -> None:
        self._n_rows = n_rows
        self._all: Array | None = None
        self._parts: list[Array] = []

    def append(self, first: int, part: Array) -> int:
        """Take the answers from row `first` on; how many they are."""
        if self._n_rows is None:
            self._parts.append(part)
        else:
            if self._all is None:
                shape = (self._n_rows, *part.shape[1:])
                new = np.empty(shape, part.dtype) if not is_tensor(part) else part.new_empty(shape)
                self._all = new
            self._all[first : first + part.shape[0]] = part
        return int(part.shape[0])

    def array(self) -> Array:
        """All of them."""
        if self._all is not None:
            return self._all
        if is_tensor(self._parts[0]):
            return torch.cat(self._parts)
        return np.concatenate(self._parts)
