"""Rows of many keys into the moments of their models: all of them, or none."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.bank.keys import groups
from streampca.checkpoint import Key
from streampca.moments import MomentsBank
from streampca.rows import Minibatch


class Rows(NamedTuple):
    """Rows that count, checked, and whose they are."""

    X: NDArray[Any]
    weights: NDArray[np.float64] | None
    keys: list[Key]
    codes: NDArray[np.int64]
    names: tuple[str, ...] | None
    squares: float | None = None
    """At least the sum of all squares of X, where that is known."""


_NUMBERS = 2**18
"""Numbers of the rows that are computed with at once: 2 MB, a few times."""

_FITS = 1e300
"""Sums of squares up to here are well inside float64."""


def most_rows(n_features: int) -> int:
    """Rows that are worked on at once."""
    return max(1, _NUMBERS // n_features)


def learn(bank: MomentsBank, models: NDArray[np.int64], rows: Rows, forgetting: float) -> None:
    """Add rows, row i to model `models[rows.codes[i]]`; models there are none of yet are made.

    Raises
    ------
    ValueError
        If sums leave float64; nothing has changed.
    """
    X, weights, squares = rows.X, rows.weights, rows.squares
    if squares is None:
        squares = float(np.vdot(X, X))
    # about any mean of theirs they are at most four times what they are about zero
    bound = bank.bound + 8.0 * squares * (1.0 if weights is None else max(1.0, weights.max()))
    # where no sum can overflow, none is checked
    work, update = (bank, _together) if bound < _FITS else (copy.deepcopy(bank), _one_by_one)
    work.grow(max(0, int(models.max()) + 1 - bank.n_models))
    update(work, models, rows, forgetting)
    work.bound = min(bound, float(np.finfo("float64").max))
    if work is not bank:
        bank.__dict__ |= work.__dict__


def _together(bank: MomentsBank, models: NDArray[np.int64], rows: Rows, forgetting: float) -> None:
    for which, at in groups(rows.codes, len(models), most_rows(rows.X.shape[1])):
        decay = _decay(forgetting, at.shape[1])
        if decay is not None:
            bank.decay(models[which], forgetting ** at.shape[1])
        weights = None if rows.weights is None else rows.weights[at]
        bank.update(models[which], rows.X[at], weights, decay)


def _one_by_one(
    bank: MomentsBank, models: NDArray[np.int64], rows: Rows, forgetting: float
) -> None:
    """The same, each model by itself, which says where a sum leaves float64."""
    for code, model in enumerate(models):
        at = np.flatnonzero(rows.codes == code)
        moments, decay = bank.load(int(model)), _decay(forgetting, len(at))
        if decay is not None:
            moments.decay(forgetting ** len(at))
        weights = None if rows.weights is None else rows.weights[at]
        with np.errstate(over="ignore"):  # seen by what is added up
            moments.update(Minibatch(rows.X[at].astype(bank.dtype), weights, decay))
        bank.store(int(model), moments)


def _decay(forgetting: float, m: int) -> NDArray[np.float64] | None:
    """What m rows in their order count after the last of them, (m,); None: all of them."""
    return forgetting ** np.arange(m - 1, -1, -1.0) if forgetting < 1.0 else None
