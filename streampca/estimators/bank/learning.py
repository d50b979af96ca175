"""Rows of many keys into the moments of their models: all of them, or none."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streampca.checkpoint import Key
from streampca.estimators.bank.gaps import ManyGaps
from streampca.estimators.bank.keys import groups
from streampca.estimators.bank.solved import Solved
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

_FITS_FILLED = 1e280
"""The same of rows with gaps. What is expected there is at most (variance / noise)^(1/2) times as
large as the row's other entries, and noise is at least eps of the first variance."""


def most_rows(n_features: int) -> int:
    """Rows that are worked on at once."""
    return max(1, _NUMBERS // n_features)


class Kept(NamedTuple):
    """What a bank remembers; copied together where a call may not come to its end."""

    bank: MomentsBank
    solved: Solved
    gaps: ManyGaps | None
    """None where gaps are refused."""


def learn(
    kept: Kept, models: NDArray[np.int64], rows: Rows, forgetting: float, most_rows_together: int
) -> Kept:
    """Add rows, row i to model `models[rows.codes[i]]`; models there are none of yet are made.

    Where gaps are filled, rows of a key are folded in by so many, each with the model of those
    before.

    Raises
    ------
    ValueError
        If sums leave float64; nothing has changed.
    """
    weights, bank = rows.weights, kept.bank
    squares = _squares(rows)
    # about any mean of theirs they are at most four times what they are about zero
    squares *= 8.0 * (1.0 if weights is None else max(1.0, weights.max()))
    # where no sum can overflow, none is checked
    fits = bank.bound + squares < (_FITS if kept.gaps is None else _FITS_FILLED)
    work, update = (kept, _together) if fits else (copy.deepcopy(kept), _one_by_one)
    work.bank.grow(max(0, int(models.max()) + 1 - bank.n_models))
    cut = None if kept.gaps is None else most_rows_together
    parts = groups(rows.codes, len(models), most_rows(rows.X.shape[1]), cut)
    for which, at in parts:
        update(work, models[which], _part(work, models[which], rows, at), forgetting)
        work.solved.outdate(models[which])
    work.bank.bound = min(work.bank.bound + squares, float(np.finfo("float64").max))
    return work


def _squares(rows: Rows) -> float:
    """The sum of all squares, of what there is."""
    if rows.squares is not None:
        return rows.squares
    found = float(np.vdot(rows.X, rows.X))
    if not np.isnan(found):
        return found
    there = np.nan_to_num(rows.X, nan=0.0)
    return float(np.vdot(there, there))


class _Part(NamedTuple):
    """As many rows of each of k models."""

    X: NDArray[Any]  # (k, m, n)
    weights: NDArray[np.float64] | None  # (k, m)


def _part(kept: Kept, models: NDArray[np.int64], rows: Rows, at: NDArray[np.int64]) -> _Part:
    X, weights = rows.X[at], None if rows.weights is None else rows.weights[at]
    return _Part(X if kept.gaps is None else kept.gaps.filled(models, X), weights)


def _together(kept: Kept, models: NDArray[np.int64], part: _Part, forgetting: float) -> None:
    m = part.X.shape[1]
    decay = _decay(forgetting, m)
    if decay is not None:
        kept.bank.decay(models, forgetting**m)
    kept.bank.update(models, part.X, part.weights, decay)


def _one_by_one(kept: Kept, models: NDArray[np.int64], part: _Part, forgetting: float) -> None:
    """The same, each model by itself, which says where a sum leaves float64."""
    m = part.X.shape[1]
    decay = _decay(forgetting, m)
    for i, model in enumerate(models.tolist()):
        moments = kept.bank.load(model)
        if decay is not None:
            moments.decay(forgetting**m)
        weights = None if part.weights is None else part.weights[i]
        with np.errstate(over="ignore"):  # seen by what is added up
            moments.update(Minibatch(part.X[i].astype(kept.bank.dtype), weights, decay))
        kept.bank.store(model, moments)


def _decay(forgetting: float, m: int) -> NDArray[np.float64] | None:
    """What m rows in their order count after the last of them, (m,); None: all of them."""
    return forgetting ** np.arange(m - 1, -1, -1.0) if forgetting < 1.0 else None
