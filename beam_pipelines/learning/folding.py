"""Rows of one key and window become moments, of the kind that every part of a pipeline keeps."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from beam_pipelines.rows import Names
from streampca.arrays import one_thread
from streampca.learning import resolve_parameters
from streampca.moments import Moments, dense_of_few, make_moments
from streampca.rows import Minibatch

_FEWEST, _MOST = 128, 512
"""Rows that wait before they become one product, twice the number of features within these bounds:
a product of so many costs a row a tenth of what single rows do, and thousands of keys, each with
its rows that wait, still fit into memory."""


class Folding:
    """Adds rows up as moments.

    Parameters
    ----------
    parameters : dict
        All parameters of the estimator.

    Examples
    --------
    >>> from beam_pipelines.learning.parameters import check
    >>> Folding(check({"n_components": 1}))(None, [np.eye(2), np.ones((2, 2))]).mean
    array([0.75, 0.75])
    """

    def __init__(self, parameters: dict[str, Any]) -> None:
        self._parameters = parameters
        self._chosen: dict[int, tuple[str, int | None]] = {}
        self._spare: list[Any] = []  # scratch memory, while rows come in

    def __call__(self, moments: Moments | None, blocks: list[Any]) -> Moments:
        """Moments with the rows of blocks (m, n) added to them; None: of these rows alone."""
        X = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        if moments is None:
            moments = self._empty(X.shape[1], X.dtype.name)
        # Scratch memory goes from one sum to the next: with many keys and open windows it would
        # take far more than the moments do. pop is atomic: threads may share this object.
        with contextlib.suppress(IndexError):
            moments.give_scratch(self._spare.pop())
        # Workers share a machine. Beside others, two threads were seen to take 4 times as long for
        # 256 rows of 100 features as one, and up to 40 times where all cores were busy.
        with one_thread():
            for start in range(0, len(X), 4 * _MOST):  # sums of float32 products stay short
                moments.update(Minibatch(X[start : start + 4 * _MOST]))
        scratch = moments.take_scratch()
        if scratch is not None:
            self._spare.append(scratch)
        return moments

    def alone(self, blocks: list[Any]) -> Moments:
        """Moments of these rows."""
        if len(blocks) == 1 and self._is_plain(blocks[0]):
            few = dense_of_few(blocks[0], center=self._parameters["center"])
            if few is not None:
                return few
        return self(None, blocks)

    def _is_plain(self, X: Any) -> bool:
        """Whether rows are kept in dense moments of float64 on the host."""
        memory, _ = self._choice(X.shape[1])
        single = self._parameters["dtype"] == "float32"
        return memory == "dense" and not single and self._parameters["device"] is None

    def tidy(self) -> None:
        """Give back the memory worked in."""
        self._spare.clear()

    def _empty(self, n_features: int, dtype: str) -> Moments:
        return _made(self._parameters, self._choice(n_features), n_features, dtype)

    def _choice(self, n_features: int) -> tuple[str, int | None]:
        # chosen once, since choosing takes as long as adding up a few rows
        if n_features not in self._chosen:
            self._chosen[n_features] = _choice(self._parameters, n_features)
        return self._chosen[n_features]


def enough(n_features: int) -> int:
    """How many rows wait before they become one product."""
    return min(max(_FEWEST, 2 * n_features), _MOST)


def empty_moments(parameters: dict[str, Any], n_features: int, dtype: str) -> Moments:
    """Empty moments of the kind that every part of a pipeline keeps, so that they merge.

    Where memory is open, dense is chosen beyond 1,024 features only where it is not slower: each
    key, window and pane has its own, and each is written to state and shuffled.
    """
    return _made(parameters, _choice(parameters, n_features), n_features, dtype)


def _choice(parameters: dict[str, Any], n_features: int) -> tuple[str, int | None]:
    chosen = resolve_parameters(parameters, n_features, slower=1.0)
    return chosen.memory, chosen.n_directions


def _made(
    parameters: dict[str, Any], choice: tuple[str, int | None], n_features: int, dtype: str
) -> Moments:
    memory, n_directions = choice
    return make_moments(
        memory,
        n_features,
        n_directions=n_directions,
        center=parameters["center"],
        dtype=parameters["dtype"] or dtype,
        device=parameters["device"],
    )


def described(names: Names, n_features: int) -> str:
    """How many features, and the first of their names."""
    if names is None:
        return f"{n_features} without names"
    shown = ", ".join(map(repr, names[:4])) + (", ..." if len(names) > 4 else "")
    return f"{n_features} ({shown})"
