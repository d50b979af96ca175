"""StreamingReducedRankRegression for rows and targets that are dictionaries.

Between the buffers of records and the estimator; knows nothing of River.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streampca.arrays import one_thread
from streampca.estimators import StreamingReducedRankRegression
from streampca.learning import PairModel, unfinished
from streampca.records.buffer import Records
from streampca.records.clock import next_solve
from streampca.records.layout import Record
from streampca.rows import read_weights

Float64 = NDArray[np.float64]

_ROWS = 512
"""Rows in a minibatch."""


def _room(n_features: int) -> int:
    return _ROWS


class RecordPairs:
    """Learns from pairs of dictionaries and predicts one from the other.

    Parameters
    ----------
    parameters : dict
        Of `StreamingReducedRankRegression`. `n_components` may exceed the number of targets.
    """

    def __init__(self, parameters: dict[str, Any]) -> None:
        self._parameters = parameters
        # absent ones stand at their means, but there is no option to take None as absent
        self.inputs = Records(_room, allow_missing=False, advice="")
        self.targets = Records(_room, allow_missing=False, advice="")
        self._weights: list[float] = []
        self.model: PairModel | None = None
        self._regression: StreamingReducedRankRegression | None = None
        self._due = 1  # rows at which the model is renewed

    @property
    def n_seen(self) -> int:
        """Rows seen."""
        return self.inputs.n_taken + self.inputs.n_held

    # --- learning --------------------------------------------------------------------------------

    def learn(self, x: Record, y: Record, w: float = 1.0) -> None:
        """Learn from w copies of a row and its targets; if any cannot be used, from none."""
        if not _holds(x) or not _holds(y):
            return
        if w != 1.0:  # also where it is NaN
            read_weights([w], 1)
        if w == 0.0:  # as if absent, whatever its features are called
            return
        if self.inputs.n_held != len(self._weights):
            self._drop_half()
        self.inputs.append(x)
        try:
            self.targets.append(y)
        except ValueError as error:
            self.inputs.drop_last()
            raise ValueError(f"targets: {error}") from error
        self._weights.append(w)
        if self.inputs.is_full:
            self.fold()

    def _drop_half(self) -> None:
        """Take back the rows of a call that was broken off: its weight comes last."""
        for records in (self.inputs, self.targets):
            if records.n_held > len(self._weights):
                records.drop_last()

    def fold(self) -> None:
        """Hand the rows that wait to the estimator."""
        self._drop_half()
        if self.inputs.n_held == 0:
            return
        with unfinished(self, "inputs") as inputs:
            self._fold(inputs)

    def _fold(self, inputs: Records) -> None:
        X, Y, weights = inputs.take(), self.targets.take(), np.array(self._weights, float)
        self._weights.clear()
        old = self._regression
        X = _filled(X, np.zeros(0) if old is None else old.mean_)
        Y = _filled(Y, np.zeros(0) if old is None else old.target_mean_)
        p = self._parameters["n_components"]
        limited = self._parameters | {"n_components": p and min(p, Y.shape[1])}
        if old is None:
            self._regression = StreamingReducedRankRegression(**limited)
        elif (old.n_features_in_, old.n_targets_) != (X.shape[1], Y.shape[1]):
            self._regression = StreamingReducedRankRegression(**limited).widened_from(
                old, X.mean(axis=0), Y.mean(axis=0)
            )
        assert self._regression is not None
        equal = bool((weights == 1.0).all())
        with one_thread():  # as for components
            self._regression.partial_fit(X, Y, sample_weight=None if equal else weights)

    def __getstate__(self) -> dict[str, Any]:
        self._drop_half()
        return self.__dict__

    # --- using -----------------------------------------------------------------------------------

    def recent(self) -> PairModel | None:
        """A model that is at most a minibatch old; None before any row."""
        return self.renew() if self.n_seen >= self._due else self.model

    def renew(self) -> PairModel | None:
        """Fold in and solve everything; the model of all rows, None before any."""
        self.fold()
        if self._regression is not None:
            with one_thread():
                self.model = self._regression._model
            self._due = next_solve(self.n_seen, _ROWS)
        return self.model

    def predict(self, x: Record) -> dict[Hashable, float]:
        """Targets of a row; absent features stand at their means."""
        model = self.recent()
        if model is None:
            return {}
        row, complete = self.inputs.row(x, len(model.mean))
        d = row - model.mean
        if not complete:
            d = np.nan_to_num(d, nan=0.0)
        return self.targets.layout.named(model.coef.dot(d) + model.target_mean)


def _holds(x: Any) -> bool:
    """Whether a row has features; what is no dictionary is refused where it is read."""
    return not isinstance(x, Mapping) or len(x) > 0


def _filled(X: Float64, means: Float64) -> Float64:
    """X with its gaps at the means of all rows so far, of new features at those of these rows."""
    gaps = np.isnan(X)
    if not gaps.any():
        return X
    seen = (~gaps).sum(axis=0)
    own = np.where(gaps, 0.0, X).sum(axis=0) / np.maximum(seen, 1)
    own[: len(means)] = means
    return np.where(gaps, own, X)
