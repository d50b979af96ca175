"""Pairs of rows (pairs.py) of many models at once; all arrays have one entry for each model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streampca.moments.pairs import ALONE

Float64 = NDArray[np.float64]


def outweighed(v: Float64) -> NDArray[np.bool_]:
    """Of which models one row outweighs all others together, as `pairs.heaviest`; v (k, m)."""
    most = v.max(axis=1)
    at = v.argmax(axis=1)
    others = np.where(np.arange(v.shape[1]) == at[:, None], 0.0, v).sum(axis=1)
    return np.asarray((others > 0) & (others < ALONE * most))


def row_weights(
    k: int, m: int, weights: Float64 | None, decay: Float64 | None
) -> tuple[Float64, Float64, Float64, Float64 | None]:
    """As `pairs.row_weights`, for k models: totals, both sums of pairs (k,), what rows count."""
    if weights is None and decay is None:
        return np.full(k, float(m)), np.full(k, m - 1.0), np.zeros(k), None
    w = np.ones((k, m)) if weights is None else weights
    remembered = np.ones(m) if decay is None else decay
    v = w * remembered
    total = v.sum(axis=1)
    unit = _units(total)[:, None]
    u = v * unit
    before = np.concatenate([np.zeros((k, 1)), np.cumsum(u[:, :-1], axis=1)], axis=1)
    whole = total * unit[:, 0]
    rows = 2.0 * (before * u).sum(axis=1) / whole / unit[:, 0]
    copies = ((w - 1.0) * remembered * u).sum(axis=1) / whole
    return total, rows, copies, v


def joined(
    here: tuple[Float64, Float64, Float64], there: tuple[Float64, Float64, Float64]
) -> tuple[Float64, Float64]:
    """As `Pairs.joined`, for k models of weight, rows and copies."""
    weight, total = here[0], here[0] + there[0]
    unit = _units(total)
    a, b, whole = weight * unit, there[0] * unit, total * unit
    rows = (here[1] * a + there[1] * b + 2.0 * (weight * b)) / whole
    return rows, (here[2] * a + there[2] * b) / whole


def joint(here: Float64, there: Float64) -> Float64:
    """As `pairs.joint`, for k models."""
    return np.asarray(np.minimum(here, there) * (np.maximum(here, there) / (here + there)))


def _units(total: Float64) -> Float64:
    """Powers of two that bring totals near 1, as in pairs.py."""
    return np.asarray(2.0 ** np.minimum(1.0 - np.frexp(total)[1], 1000.0))
