"""What a model says of rows, part by part: each part is read (and so checked) when its turn comes.

For whoever has a model, an estimator or a checkpoint; who reads the rows is told by the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streampca.arrays import Array, namespace
from streampca.learning.model import Model
from streampca.rows import answers

Read = Callable[[Any], Array]
"""Checked rows of a part, with gaps where these are to be filled."""


def coordinates(X: Any, model: Model, read: Read, *, impute: bool, whiten: bool) -> Array:
    """Coordinates of rows in the components, (m, p)."""

    def of_part(part: Any) -> Array:
        rows = read(part)
        Z = model.coordinates(model.filled(rows) if impute else rows)
        return Z * model.scales(Z) if whiten else Z

    return answers(X, of_part)


def rows_of(Z: Any, model: Model, read: Read, *, whiten: bool) -> Array:
    """Rows (m, n) from coordinates (m, p)."""

    def of_part(part: Any) -> Array:
        Z = read(part)
        if whiten:
            scales = model.scales(Z)
            xp = namespace(scales)
            safe = xp.where(scales > 0, scales, 1.0)
            Z = Z * xp.where(scales > 0, 1.0 / safe, 0.0)
        return model.reconstruct(Z)

    return answers(Z, of_part)


def log_likelihoods(X: Any, model: Model, read: Read, *, impute: bool) -> Array:
    """Log-density of each row under the model, (m,)."""

    def of_part(part: Any) -> Array:
        rows = read(part)
        return model.log_likelihood(model.filled(rows) if impute else rows)

    return answers(X, of_part)
