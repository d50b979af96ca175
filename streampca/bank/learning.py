"""Rows of many keys into the moments of their models: all of them, or none."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.bank.keys import groups
from streampca.moments import MomentsBank
from streampca.rows import Minibatch

_NUMBERS = 2**18
"""Of rows that are worked on at once: 2 MB, a few times."""

_FITS = 1e300
"""Sums of squares up to here are well inside float64."""


def most_rows(n_features: int) -> int:
    """Rows that are worked on at once."""
    return max(1, _NUMBERS // n_features)


def learn(
    bank: MomentsBank,
    models: NDArray[np.int64],
    codes: NDArray[np.int64],
    X: NDArray[Any],
    weights: NDArray[np.float64] | None,
    forgetting: float,
    squares: float | None,
) -> None:
    """Add rows X (m, n), row i to model `models[codes[i]]`; models there are none of yet are made.

    `squares` is at least the sum of all squares of X, where that is known.

    Raises
    ------
    ValueError
        If sums leave float64; nothing has changed.
    """
    if squares is None:
        squares = float(np.vdot(X, X))
    # about any mean of theirs they are at most four times what they are about zero
    bound = bank.bound + 8.0 * squares * (1.0 if weights is None else max(1.0, weights.max()))
    # where no sum can overflow, none is checked
    work, update = (bank, _together) if bound < _FITS else (copy.deepcopy(bank), _one_by_one)
    work.grow(max(0, int(models.max()) + 1 - bank.n_models))
    update(work, models, codes, X, weights, forgetting)
    work.bound = min(bound, float(np.finfo("float64").max))
    if work is not bank:
        bank.__dict__ |= work.__dict__


def _together(
    bank: MomentsBank,
    models: NDArray[np.int64],
    codes: NDArray[np.int64],
    X: NDArray[Any],
    weights: NDArray[np.float64] | None,
    forgetting: float,
) -> None:
    for which, at in groups(codes, len(models), most_rows(X.shape[1])):
        m, decay = at.shape[1], None
        if forgetting < 1.0:
            bank.decay(models[which], forgetting**m)
            decay = forgetting ** np.arange(m - 1, -1, -1.0)
        bank.update(models[which], X[at], None if weights is None else weights[at], decay)


def _one_by_one(
    bank: MomentsBank,
    models: NDArray[np.int64],
    codes: NDArray[np.int64],
    X: NDArray[Any],
    weights: NDArray[np.float64] | None,
    forgetting: float,
) -> None:
    """The same, each model by itself, which says where a sum leaves float64."""
    for code, model in enumerate(models):
        rows = np.flatnonzero(codes == code)
        moments, m = bank.load(int(model)), len(rows)
        decay = None
        if forgetting < 1.0:
            moments.decay(forgetting**m)
            decay = forgetting ** np.arange(m - 1, -1, -1.0)
        w = None if weights is None else weights[rows]
        with np.errstate(over="ignore"):  # seen by what is added up
            moments.update(Minibatch(X[rows].astype(bank.dtype), w, decay))
        bank.store(int(model), moments)
